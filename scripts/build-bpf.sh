#!/usr/bin/env bash
# Builds the BPF objects: dist/bpf/*.bpf.o for this machine and dist/bpf/arm64/*.bpf.o for arm64, so that each build shows that both
# compile. Needs clang (BPF target), libbpf's headers and llvm-strip; no kernel headers, no vmlinux.h.
set -euo pipefail
cd "$(dirname "$0")/.."
# The folder of <asm/types.h>: of this machine for both, since BPF's types are the same.
case "$(uname -m)" in
  x86_64) own=x86; triplet=x86_64-linux-gnu ;;
  aarch64) own=arm64; triplet=aarch64-linux-gnu ;;
  *) echo "build-bpf: no syscall table for the architecture $(uname -m)" >&2; exit 1 ;;
esac

build() { # target folder
  mkdir -p "$2"
  for source in hullguard trial; do
    object=$2/$source.bpf.o
    clang -g -O2 -target bpf -mcpu=v3 "-D__TARGET_ARCH_$1" "-I/usr/include/$triplet" -Wall -Wextra -Werror \
      -Wno-unused-parameter -Wno-sign-compare -Wno-missing-declarations -Wno-address-of-packed-member \
      -c "bpf/$source.bpf.c" -o "$object.tmp"
    llvm-strip -g "$object.tmp"
    mv "$object.tmp" "$object"
  done
}

build "$own" dist/bpf
build arm64 dist/bpf/arm64
