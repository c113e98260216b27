#!/usr/bin/env bash
# Builds dist/bpf/hullguard.bpf.o. Needs clang (BPF target), libbpf's headers and llvm-strip; no kernel headers, no vmlinux.h.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:-$(uname -m)}
case "$arch" in
  x86_64) target=x86; triplet=x86_64-linux-gnu ;;
  aarch64 | arm64) target=arm64; triplet=aarch64-linux-gnu ;;
  *) echo "build-bpf: no syscall table for the architecture $arch" >&2; exit 1 ;;
esac
mkdir -p dist/bpf
for source in hullguard trial; do
  object=dist/bpf/$source.bpf.o
  clang -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$target -I/usr/include/$triplet -Wall -Wextra -Werror \
    -Wno-unused-parameter -Wno-sign-compare -Wno-missing-declarations -Wno-address-of-packed-member \
    -c bpf/$source.bpf.c -o "$object.tmp"
  llvm-strip -g "$object.tmp"
  mv "$object.tmp" "$object"
done
