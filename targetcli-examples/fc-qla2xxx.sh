#!/bin/bash
# Export a Pulsefield logical unit over Fibre Channel, with a QLogic HBA in target mode.
set -euo pipefail

usage() {
    cat <<'END'
usage: WWPN=naa.21000024ff000001 [NAME=value …] fc-qla2xxx.sh [--help]

Creates the backstore if it is missing and exports it over a QLogic Fibre Channel HBA, to the
initiators given. Run as root, with pulsefield.service running.

The HBA must be in target mode: `options qla2xxx qlini_mode=disabled` in /etc/modprobe.d/qla2xxx.conf,
then `update-initramfs -u` and a reboot. Its ports: cat /sys/class/fc_host/*/port_name

  BACKSTORES  folder of the backstore in targetcli   /backstores/user:pulsefield
  NAME        name of the backstore                  ds1
  SIZE        its size, if it is created             1G
  CFGSTRING   its medium, if it is created           file//srv/$NAME.img
  AREA_MB     its data area in MiB, if it is created 256
  WWPN        the HBA's port, as naa.…               (required)
  INITIATORS  WWPNs of the ESXi hosts, as naa.…      (none: nobody may log in yet)

Undo:  targetcli /qla2xxx delete $WWPN
END
}

[[ ${1-} != --help ]] || { usage; exit; }

BACKSTORES=${BACKSTORES:-/backstores/user:pulsefield}
NAME=${NAME:-ds1}
SIZE=${SIZE:-1G}
CFGSTRING=${CFGSTRING:-file//srv/$NAME.img}
AREA_MB=${AREA_MB:-256}
WWPN=${WWPN:?the port of the HBA is missing; see --help}
INITIATORS=${INITIATORS:-}

configfs=/sys/kernel/config/target

# naa.2000…02 as the kernel writes it: 20:00:…:02
colons() { sed 's/../&:/g; s/:$//' <<<"${1#naa.}"; }

mode=$(cat /sys/module/qla2xxx/parameters/qlini_mode 2>/dev/null || echo 'not loaded')
if [[ $mode == enabled || $mode == 'not loaded' ]]; then
    echo "qla2xxx is not in target mode (qlini_mode: $mode); see --help" >&2
    exit 1
fi

if ! compgen -G "$configfs/core/*/$NAME" >/dev/null; then
    targetcli "$BACKSTORES" create name="$NAME" size="$SIZE" cfgstring="$CFGSTRING" \
        control="max_data_area_mb=$AREA_MB"
fi

modprobe tcm_qla2xxx

tpg=$configfs/qla2xxx/$(colons "$WWPN")/tpgt_1
[[ -d $tpg ]] || targetcli /qla2xxx create "$WWPN"
targetcli "/qla2xxx/$WWPN/luns" create "$BACKSTORES/$NAME"
# A later LUN is mapped to the initiators that are already there.
for initiator in $INITIATORS; do
    [[ -d $tpg/acls/$(colons "$initiator") ]] ||
        targetcli "/qla2xxx/$WWPN/acls" create "$initiator"
done
