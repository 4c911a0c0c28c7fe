#!/bin/bash
# What a pull costs with curl, a gunzip, openssl and tar: blob digests and diff IDs are verified, blobs are kept, every
# layer goes into a directory of its own. No whiteouts, no fsync, no metadata.
#   floor.sh HOST:PORT/NAME:TAG DIR      GUNZIP igzip | pigz | gzip      JOBS layers at a time
set -euo pipefail
reference=$1
export D=$2 GUNZIP=${GUNZIP:-gzip}
host=${reference%%/*}
name=${reference#*/}
export base=http://$host/v2/${name%:*}
accept='application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json'
mkdir -p "$D/blobs" "$D/layers"
curl -sf -H "Accept: $accept" "$base/manifests/${name##*:}" -o "$D/manifest.json"
curl -sf "$base/blobs/$(jq -r .config.digest "$D/manifest.json")" -o "$D/config.json"
sha() { openssl dgst -sha256 -r | cut -d' ' -f1; }
layer() { # layer DIGEST MEDIATYPE DIFFID
  local blob=$D/blobs/${1#sha256:} root=$D/layers/${1#sha256:} decompress
  mkdir -p "$root"
  case $2 in *zstd) decompress='zstd -dc' ;; *gzip) decompress="$GUNZIP -dc" ;; *) decompress=cat ;; esac
  curl -sf "$base/blobs/$1" -o "$blob"
  sha <"$blob" >"$blob.sha"
  mkfifo "$blob.pipe"
  sha <"$blob.pipe" >"$blob.diff" &
  $decompress <"$blob" | tee "$blob.pipe" |
    tar -x --xattrs --xattrs-include='*' --numeric-owner -p -C "$root"
  wait
  [ "sha256:$(cat "$blob.sha")" = "$1" ] && [ "sha256:$(cat "$blob.diff")" = "$3" ] || exit 1
}
export -f layer sha
jq -r --slurpfile c "$D/config.json" \
  '[.layers,$c[0].rootfs.diff_ids]|transpose[]|"\(.[0].digest) \(.[0].mediaType) \(.[1])"' "$D/manifest.json" |
  xargs -P "${JOBS:-1}" -L1 bash -eo pipefail -c 'layer "$@"' layer
