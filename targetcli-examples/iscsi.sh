#!/bin/bash
# Export a Pulsefield logical unit over iSCSI.
set -euo pipefail

usage() {
    cat <<'END'
usage: [NAME=value …] iscsi.sh [--help]

Creates the backstore if it is missing and exports it over iSCSI, through every portal given. Run as
root, with pulsefield.service running.

The target asks nobody for a password and lets every initiator write. So the portals are this
machine's own addresses unless you name others; do that in a storage network only.

  BACKSTORES  folder of the backstore in targetcli   /backstores/user:pulsefield
  NAME        name of the backstore                  ds1
  SIZE        its size, if it is created             1G
  CFGSTRING   its medium, if it is created           file//srv/$NAME.img
  AREA_MB     its data area in MiB, if it is created 256
  TARGET      name of the target                     iqn.2026-01.io.pulsefield:lab
  PORTALS     addresses to listen on                 127.0.0.1 127.0.0.2

On the initiator:  iscsiadm -m discovery -t sendtargets -p ADDRESS && iscsiadm -m node --login
Undo:  targetcli /iscsi delete $TARGET
END
}

[[ ${1-} != --help ]] || { usage; exit; }

BACKSTORES=${BACKSTORES:-/backstores/user:pulsefield}
NAME=${NAME:-ds1}
SIZE=${SIZE:-1G}
CFGSTRING=${CFGSTRING:-file//srv/$NAME.img}
AREA_MB=${AREA_MB:-256}
TARGET=${TARGET:-iqn.2026-01.io.pulsefield:lab}
PORTALS=${PORTALS:-127.0.0.1 127.0.0.2}

configfs=/sys/kernel/config/target
tpg=/iscsi/$TARGET/tpg1

if ! compgen -G "$configfs/core/*/$NAME" >/dev/null; then
    targetcli "$BACKSTORES" create name="$NAME" size="$SIZE" cfgstring="$CFGSTRING" \
        control="max_data_area_mb=$AREA_MB"
fi

if [[ ! -d $configfs/iscsi/$TARGET ]]; then
    targetcli /iscsi create "$TARGET"
    # targetcli's own, on all addresses, which it cannot make where another target listens on one.
    [[ ! -d $configfs/iscsi/$TARGET/tpgt_1/np/0.0.0.0:3260 ]] ||
        targetcli "$tpg/portals" delete 0.0.0.0 3260
    for address in $PORTALS; do
        targetcli "$tpg/portals" create "$address"
    done
    # No CHAP, no list of initiators, and everybody may write: see the warning above. With cached ACLs a
    # reservation outlives a session, as clusters expect.
    targetcli "$tpg" set attribute authentication=0 demo_mode_write_protect=0 \
        generate_node_acls=1 cache_dynamic_acls=1
fi
targetcli "$tpg/luns" create "$BACKSTORES/$NAME"
