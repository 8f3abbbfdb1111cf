#!/bin/sh
# Unpacks NVIDIA's run-time compiler (NVRTC 11.8 of Debian bookworm, 16.6 MB, non-free) into the folder $1 without installing it, and prints the folder
# of the libraries. Exits with 77 where the packages cannot be had. usage: L=$(sh get-nvrtc.sh DIR)
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
lib=$dir/usr/lib/x86_64-linux-gnu
[ -e "$lib/libnvrtc.so.11.2" ] && { echo "$lib"; exit 0; }
command -v apt-get >/dev/null && command -v dpkg >/dev/null || exit 77
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || exit 77
mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
: >"$dir/state/status"
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm non-free" >"$dir/sources.list"
cat >"$dir/apt.conf" <<CONF
Dir::State "$dir/state";
Dir::State::status "$dir/state/status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$dir/parts";
APT::Sandbox::User "root";
CONF
cd "$dir"
timeout 60 apt-get -qq -c apt.conf -o Acquire::Retries=1 update >&2 || exit 77
timeout 120 apt-get -qq -c apt.conf download libnvrtc11.2 libnvrtc-builtins11.8 >&2 || exit 77
for package in *.deb; do
	dpkg --fsys-tarfile "$package" | tar -x
done
rm -- *.deb
echo "$lib"
