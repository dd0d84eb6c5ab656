#!/usr/bin/env bash
# Build the image and classify through it, on a machine without a container engine: buildah on a
# base made by debootstrap. Needs root and both of them: apt-get install buildah debootstrap
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${DEBIAN_SUITE:-bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
for tool in buildah debootstrap curl; do
  command -v "$tool" > /dev/null || { echo "missing: apt-get install $tool" >&2; exit 1; }
done

work=$(mktemp -d)
service=
finish() {
  if [ -n "$service" ]; then
    kill -- "-$service" 2> /dev/null || true
    wait "$service" 2> /dev/null || true
  fi
  buildah "${storage[@]}" rm --all > /dev/null 2>&1 || true
  rm -rf "$work"
}
storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run")
trap finish EXIT

echo "== base: Debian $suite with Python"
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
  "$suite" "$work/base" "$mirror" > "$work/debootstrap.log" 2>&1 \
  || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
rm -rf "$work"/base/var/cache/apt/* "$work"/base/var/lib/apt/lists/*
container=$(buildah "${storage[@]}" from scratch)
buildah "${storage[@]}" add --quiet "$container" "$work/base" / > /dev/null
buildah "${storage[@]}" commit --quiet "$container" localhost/dandelion-base > /dev/null
buildah "${storage[@]}" rm "$container" > /dev/null
rm -rf "$work/base"

echo "== image"
# A build sees nothing of this machine: pip's configuration, constraints and certificates, where it
# has any.
options=(--build-arg BASE_IMAGE=localhost/dandelion-base)
while read -r file; do
  options+=(--volume "$file:$file:ro")
  while read -r constraints; do
    options+=(--volume "$constraints:$constraints:ro")
  done < <(sed -n 's/^ *constraint *= *//p' "$file")
done < <(python3 -m pip config debug | sed -n 's/^ *\(.*\), exists: True$/\1/p')
certificates=${PIP_CERT:-$(python3 -m pip config get global.cert 2> /dev/null || true)}
if [ -n "$certificates" ]; then
  options+=(--volume "$certificates:$certificates:ro" --build-arg "PIP_CERT=$certificates")
fi
buildah "${storage[@]}" bud --isolation chroot --format docker "${options[@]}" --tag localhost/dandelion .

echo "== service"
container=$(buildah "${storage[@]}" from localhost/dandelion)
root=$(buildah "${storage[@]}" mount "$container")
run() { buildah "${storage[@]}" run --isolation chroot "$@"; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
url=http://127.0.0.1:$port
mapfile -t entrypoint < <(buildah "${storage[@]}" inspect --type image --format \
  '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' localhost/dandelion | sed '/^$/d')
mapfile -t health < <(buildah "${storage[@]}" inspect --type image --format \
  '{{range .Docker.Config.Healthcheck.Test}}{{println .}}{{end}}' localhost/dandelion | sed '/^$/d')
touch "$work/started"
# A process group of its own, so that all of it can be stopped.
setsid buildah "${storage[@]}" run --isolation chroot --env "DANDELION_PORT=$port" "$container" -- \
  "${entrypoint[@]}" &
service=$!
for _ in $(seq 100); do
  curl --silent --fail "$url/readyz" > /dev/null && break
  kill -0 "$service"
  sleep 0.1
done

classify() {
  local answer
  answer=$(curl --silent --fail "$url/classify/$1" --header 'Content-Type: application/json' \
    --data "{\"texts\": [\"$2\"]}")
  echo "$answer"
  grep --quiet "\"label\":\"$3\"" <<< "$answer"
}
classify spam 'WINNER!! Claim your free £1000 prize now, call 09012345678' spam
classify spam 'Are we still meeting for lunch tomorrow at 12?' ham
classify cyberbullying 'Baking bread this morning, it smells lovely' not_cyberbullying
[ "$(curl --silent --output /dev/null --write-out '%{http_code}' "$url/classify/none")" = 405 ]
curl --silent --fail "$url/docs" | grep --quiet swagger-ui
curl --silent --fail --head "$url/static/swagger-ui/swagger-ui-bundle.js" > "$work/head"
echo "the page /docs is served"
curl --silent "$url/models/spam" | grep --quiet '"engine":"compiled"'
echo "the compiled engine answers"
[ "${health[0]}" = CMD ]
run --env "DANDELION_PORT=$port" "$container" -- "${health[@]:1}"
echo "health check: passes"
run "$container" -- /opt/dandelion/bin/python -c '
import importlib.util, os
assert os.getuid() != 0, "runs as root"
unwanted = ("torch", "pandas", "sklearn", "pip", "dandelion_training")
found = [name for name in unwanted if importlib.util.find_spec(name)]
assert not found, found'
grep --quiet "CC BY 4.0" "$root/srv/NOTICE"
title=$(buildah "${storage[@]}" inspect --type image --format \
  '{{index .OCIv1.Config.Labels "org.opencontainers.image.title"}}' localhost/dandelion)
[ "$title" = Dandelion ]
run "$container" -- /opt/dandelion/bin/dandelion models
written=$(find "$root" -xdev -newer "$work/started" -type f \
  -not -path "$root/proc/*" -not -path "$root/sys/*" -not -path "$root/dev/*" \
  -not -path "$root/etc/hosts" -not -path "$root/etc/resolv.conf" -not -path "$root/run/*")
[ -z "$written" ] || { echo "written while running: $written" >&2; exit 1; }
echo "non-root, no torch, nothing written"

echo "== size"
du --summarize --block-size=MB "$root/opt/dandelion" "$root/srv/artifacts"
tar --create --directory "$root" . | gzip --fast | wc --bytes \
  | awk '{printf "%.0f MB compressed, base included\n", $1 / 1e6}'
echo "image check passed"
