/**
 * What may never be acted on, whatever a policy says. Fails closed: a doubt spares the process, and the record gives the
 * reason. The kernel side holds the same rails (bpf/lib/verdict.bpf.h verdict__may_act) for what it answers itself.
 */
import type { Identity } from '../container/identity.js'
import type { Phase } from '../record/model.js'

export interface Target {
  identity: Identity
  pid: number
  /** CLOCK_BOOTTIME ns. */
  startNs: bigint
  exe: string
  phase: Phase
}

/** Host programs that run containers; one of them inside a container's cgroup is at work for the host. */
const RUNTIME_PROGRAMS = new Set([
  'runc',
  'crun',
  'youki',
  'runsc',
  'dockerd',
  'docker-init',
  'docker-proxy',
  'containerd',
  'containerd-shim',
  'containerd-shim-runc-v1',
  'containerd-shim-runc-v2',
  'conmon',
  'conmonrs',
  'crio',
  'podman',
  'kubelet',
])

/** The reason to spare the target, or undefined when it may be acted on. setup: the rule judges phase setup too. */
export function reasonToSpare(
  target: Target,
  judgesSetup: boolean,
  ownPids: readonly number[] = [process.pid, process.ppid],
): string | undefined {
  if (target.pid <= 1) return 'pid 1 of the host is never acted on'
  if (ownPids.includes(target.pid)) return 'the agent itself is never acted on'
  if (target.identity.ref.state !== 'container' || !target.identity.confirmed)
    return `only confirmed containers are acted on (this is ${target.identity.ref.state})`
  if (target.phase === 'setup' && !judgesSetup) return 'the runtime is still setting the container up'
  if (target.phase === 'setup' && RUNTIME_PROGRAMS.has(target.exe.slice(target.exe.lastIndexOf('/') + 1)))
    return 'a container runtime is never acted on'
  return undefined
}
