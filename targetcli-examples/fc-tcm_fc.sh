#!/bin/bash
# Export a Pulsefield logical unit over Fibre Channel, with tcm_fc on an FCoE port.
set -euo pipefail

usage() {
    cat <<'END'
usage: [NAME=value …] fc-tcm_fc.sh [--help]

Creates the backstore if it is missing, brings up an FCoE port in VN2VN mode (no FCoE switch needed)
on a network interface, and exports the backstore over Fibre Channel to one initiator. Run as root,
with pulsefield.service running.

Any Ethernet interface will do; VMware's software FCoE and Linux's `fcoe` are initiators for it. If the
interface does not exist, a veth pair is made, so that this machine can be its own initiator.

  BACKSTORES  folder of the backstore in targetcli   /backstores/user:pulsefield
  NAME        name of the backstore                  ds1
  SIZE        its size, if it is created             1G
  CFGSTRING   its medium, if it is created           file//srv/$NAME.img
  AREA_MB     its data area in MiB, if it is created 256
  INTERFACE   where the target's port goes           ve1
  PEER        other end of a veth pair to be made    ve0
  INITIATOR   WWPN of the initiator                  naa.200002000000aa01 (that of PEER)

The initiator's port must log in after this has run. Here, where a frame that comes in while the port
is made would crash the kernel (libfcoe, seen in 6.1), it is:
  ip link set ve0 down; echo ve0 >/sys/module/libfcoe/parameters/create_vn2vn; ip link set ve0 up
Undo:  targetcli /tcm_fc delete WWPN; echo $INTERFACE >/sys/module/libfcoe/parameters/destroy
END
}

[[ ${1-} != --help ]] || { usage; exit; }

BACKSTORES=${BACKSTORES:-/backstores/user:pulsefield}
NAME=${NAME:-ds1}
SIZE=${SIZE:-1G}
CFGSTRING=${CFGSTRING:-file//srv/$NAME.img}
AREA_MB=${AREA_MB:-256}
INTERFACE=${INTERFACE:-ve1}
PEER=${PEER:-ve0}
INITIATOR=${INITIATOR:-naa.200002000000aa01}

configfs=/sys/kernel/config/target

# naa.2000…02 as the kernel writes it: 20:00:…:02
colons() { sed 's/../&:/g; s/:$//' <<<"${1#naa.}"; }

if ! compgen -G "$configfs/core/*/$NAME" >/dev/null; then
    targetcli "$BACKSTORES" create name="$NAME" size="$SIZE" cfgstring="$CFGSTRING" \
        control="max_data_area_mb=$AREA_MB"
fi

modprobe --all tcm_fc fcoe

if [[ ! -d /sys/class/net/$INTERFACE ]]; then
    ip link add "$PEER" address 02:00:00:00:aa:01 type veth \
        peer name "$INTERFACE" address 02:00:00:00:aa:02
    # A Fibre Channel frame is 2148 bytes; Ethernet's 1500 would cut it.
    ip link set "$PEER" mtu 2500
    ip link set "$INTERFACE" mtu 2500
fi

# FCoE derives the port's name from the interface's address: 20:00 and then the MAC.
mac=$(tr -d : <"/sys/class/net/$INTERFACE/address")
target=naa.2000$mac
if ! grep -qsx "0x2000$mac" /sys/class/fc_host/*/port_name; then
    echo "$INTERFACE" >/sys/module/libfcoe/parameters/create_vn2vn
fi
ip link set "$INTERFACE" up

tpg=$configfs/fc/$(colons "$target")/tpgt_1
[[ -d $tpg ]] || targetcli /tcm_fc create "$target"
targetcli "/tcm_fc/$target/luns" create "$BACKSTORES/$NAME"
# A later LUN is mapped to the initiators that are already there.
[[ -d $tpg/acls/$(colons "$INITIATOR") ]] ||
    targetcli "/tcm_fc/$target/acls" create "$INITIATOR"
