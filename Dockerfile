# The agent as a privileged container. Built by either builder of Docker; the base needs Debian's apt and Node 20 or newer.
#
#   docker build -t hullguard .
#   docker run -d --name hullguard --privileged --pid=host --cgroupns=host \
#     -v /:/host:ro -v /var/lib/hullguard:/var/lib/hullguard \
#     hullguard run --host-root /host
#
# Instead of --privileged, which also hands over every device:
#     --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --cap-add=SYS_PTRACE --cap-add=KILL --cap-add=DAC_READ_SEARCH \
#     --security-opt=seccomp=unconfined --security-opt=apparmor=unconfined
#
# --pid=host and --cgroupns=host: it watches the host's processes and cgroups. --privileged: it loads BPF programs.
# --host-root: the host's files (state directories, the Docker socket) are below /host; read-only is enough.
ARG BASE=node:20-bookworm-slim

FROM ${BASE} AS packages
WORKDIR /opt/hullguard
# One layer a part, so that a changed source does not install the packages again. setup.mjs is the one list of what is needed.
COPY scripts/setup.mjs scripts/
COPY scripts/setup scripts/setup
RUN node scripts/setup.mjs --only packages
COPY package.json package-lock.json ./
RUN node scripts/setup.mjs --only npm

FROM packages AS build
COPY . .
RUN mkdir -p policies && node scripts/setup.mjs --build-only && npm prune --omit=dev --no-audit --no-fund \
 && rm -rf dist/.stamps dist/.tsbuildinfo dist/bpf/arm64 node_modules/better-sqlite3/build/Release/obj* node_modules/better-sqlite3/deps

FROM ${BASE}
WORKDIR /opt/hullguard
COPY --from=build /opt/hullguard/package.json /opt/hullguard/LICENSE ./
COPY --from=build /opt/hullguard/LICENSES LICENSES
COPY --from=build /opt/hullguard/node_modules node_modules
COPY --from=build /opt/hullguard/dist dist
COPY --from=build /opt/hullguard/bin/hullguard bin/hullguard
COPY --from=build /opt/hullguard/policies policies
RUN ln -s /opt/hullguard/bin/hullguard /usr/local/bin/hullguard
ENV NODE_ENV=production
VOLUME /var/lib/hullguard
ENTRYPOINT ["/opt/hullguard/bin/hullguard"]
CMD ["run"]
