#!/bin/bash
# Export a Pulsefield logical unit over SRP, with ib_srpt on InfiniBand, RoCE or soft RoCE.
set -euo pipefail

usage() {
    cat <<'END'
usage: [NAME=value …] srp.sh [--help]

Creates the backstore if it is missing and exports it over SRP (SCSI RDMA Protocol) through the first
port of an RDMA device, to one initiator. Run as root, with pulsefield.service running.

If the device does not exist, a soft RoCE device of that name is made on a dummy network interface, so
that this machine can be its own initiator without an HCA.

  BACKSTORES  folder of the backstore in targetcli   /backstores/user:pulsefield
  NAME        name of the backstore                  ds1
  SIZE        its size, if it is created             1G
  CFGSTRING   its medium, if it is created           file//srv/$NAME.img
  AREA_MB     its data area in MiB, if it is created 256
  DEVICE      the RDMA device                        rxe0
  ADDRESS     address of the soft RoCE device        192.168.99.1/24
  PORT        RDMA CM port to listen on              5555
  INITIATOR   port id of the initiator, 32 digits    that of DEVICE, for this machine itself

On the initiator, with ib_srp loaded (GUID: 16 digits of the target's node GUID):
  echo "id_ext=GUID,ioc_guid=GUID,dest=ADDRESS:PORT" >/sys/class/infiniband_srp/srp-DEVICE-1/add_target
Undo:  targetcli /srpt delete ib.GID
END
}

[[ ${1-} != --help ]] || { usage; exit; }

BACKSTORES=${BACKSTORES:-/backstores/user:pulsefield}
NAME=${NAME:-ds1}
SIZE=${SIZE:-1G}
CFGSTRING=${CFGSTRING:-file//srv/$NAME.img}
AREA_MB=${AREA_MB:-256}
DEVICE=${DEVICE:-rxe0}
ADDRESS=${ADDRESS:-192.168.99.1/24}
PORT=${PORT:-5555}

configfs=/sys/kernel/config/target

if ! compgen -G "$configfs/core/*/$NAME" >/dev/null; then
    targetcli "$BACKSTORES" create name="$NAME" size="$SIZE" cfgstring="$CFGSTRING" \
        control="max_data_area_mb=$AREA_MB"
fi

if [[ ! -d /sys/class/infiniband/$DEVICE ]]; then
    modprobe --all rdma_rxe dummy
    ip link add srp0 type dummy
    ip address add "$ADDRESS" dev srp0
    ip link set srp0 up
    rdma link add "$DEVICE" type rxe netdev srp0
fi
modprobe ib_srpt

# The target is named after the port's GID; a Linux initiator's port id is its own node GUID behind
# sixteen zeros.
gid=$(tr -d : <"/sys/class/infiniband/$DEVICE/ports/1/gids/0")
guid=$(tr -d : <"/sys/class/infiniband/$DEVICE/node_guid")
target=ib.$gid
INITIATOR=${INITIATOR:-0000000000000000$guid}

tpg=$configfs/srpt/0x$gid/tpgt_1
[[ -d $tpg ]] || targetcli /srpt create "$target"
targetcli "/srpt/$target/luns" create "$BACKSTORES/$NAME"
# A later LUN is mapped to the initiators that are already there.
[[ -d $tpg/acls/0x$INITIATOR ]] || targetcli "/srpt/$target/acls" create "ib.$INITIATOR"

# Not known to targetcli, and not saved by targetctl: listen for logins through the RDMA CM. Without it
# only InfiniBand initiators, which find the target through the subnet manager, can log in.
echo "$PORT" >$configfs/srpt/discovery_auth/rdma_cm_port
