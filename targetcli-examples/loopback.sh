#!/bin/bash
# Export a Pulsefield logical unit to this machine itself, over LIO's loopback fabric.
set -euo pipefail

usage() {
    cat <<'END'
usage: [NAME=value …] loopback.sh [--help]

Creates the backstore if it is missing and exports it over loopback: an sd and an sg node appear on
this machine, with no network in between. Run as root, with pulsefield.service running.

  BACKSTORES  folder of the backstore in targetcli   /backstores/user:pulsefield
  NAME        name of the backstore                  ds1
  SIZE        its size, if it is created             1G
  CFGSTRING   its medium, if it is created           file//srv/$NAME.img
  AREA_MB     its data area in MiB, if it is created 256
  TARGET      name of the target                     naa.50014050000000a1

Undo:  targetcli /loopback delete $TARGET
END
}

[[ ${1-} != --help ]] || { usage; exit; }

BACKSTORES=${BACKSTORES:-/backstores/user:pulsefield}
NAME=${NAME:-ds1}
SIZE=${SIZE:-1G}
CFGSTRING=${CFGSTRING:-file//srv/$NAME.img}
AREA_MB=${AREA_MB:-256}
TARGET=${TARGET:-naa.50014050000000a1}

configfs=/sys/kernel/config/target

if ! compgen -G "$configfs/core/*/$NAME" >/dev/null; then
    targetcli "$BACKSTORES" create name="$NAME" size="$SIZE" cfgstring="$CFGSTRING" \
        control="max_data_area_mb=$AREA_MB"
fi

[[ -d $configfs/loopback/$TARGET ]] || targetcli /loopback create "$TARGET"
targetcli "/loopback/$TARGET/luns" create "$BACKSTORES/$NAME"
