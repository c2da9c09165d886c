# `cargo xtask vm shell`: install the package as a scenario would, and say how to get out.
[ -e /usr/bin/pulsefield ] || dpkg --install /host/*.deb
PATH=$PATH:/host/bin
echo "The share with the host is /host. 'poweroff' or Ctrl-A X ends the guest and forgets it."
