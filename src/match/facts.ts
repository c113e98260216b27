/** Facts of orchestrators, read from the labels that they put on the containers they start. */
import type { ContainerSelector } from '../policy/model.js'
import type { ContainerRef } from '../record/model.js'

export type Orchestrator = 'k8s' | 'swarm' | 'ecs' | 'nomad'
export const ORCHESTRATORS: readonly Orchestrator[] = ['k8s', 'swarm', 'ecs', 'nomad']

/** Fact -> label; the first label that is there counts. */
const LABELS: Readonly<Record<Orchestrator, Readonly<Record<string, string>>>> = {
  k8s: {
    namespace: 'io.kubernetes.pod.namespace',
    pod: 'io.kubernetes.pod.name',
    uid: 'io.kubernetes.pod.uid',
    container: 'io.kubernetes.container.name',
  },
  swarm: {
    service: 'com.docker.swarm.service.name',
    service_id: 'com.docker.swarm.service.id',
    task: 'com.docker.swarm.task.name',
    task_id: 'com.docker.swarm.task.id',
    node_id: 'com.docker.swarm.node.id',
    stack: 'com.docker.stack.namespace',
  },
  ecs: {
    cluster: 'com.amazonaws.ecs.cluster',
    task: 'com.amazonaws.ecs.task-arn',
    family: 'com.amazonaws.ecs.task-definition-family',
    version: 'com.amazonaws.ecs.task-definition-version',
    container: 'com.amazonaws.ecs.container-name',
  },
  nomad: {
    job: 'com.hashicorp.nomad.job_name',
    group: 'com.hashicorp.nomad.task_group_name',
    task: 'com.hashicorp.nomad.task_name',
    namespace: 'com.hashicorp.nomad.namespace',
    alloc: 'com.hashicorp.nomad.alloc_id',
    node: 'com.hashicorp.nomad.node_name',
  },
}

/** The label that tells the fact; undefined: none does. */
export function labelOfFact(orchestrator: Orchestrator, fact: string): string | undefined {
  return LABELS[orchestrator][fact]
}

/** The ways the fact is known of the container: none when no label tells it. A cluster or task of ECS is also known by the last part of its ARN. */
export function factOf(container: ContainerRef, orchestrator: Orchestrator, fact: string): string[] {
  const label = labelOfFact(orchestrator, fact)
  const value = label !== undefined && Object.hasOwn(container.labels, label) ? container.labels[label] : undefined
  if (value === undefined) return []
  return orchestrator === 'ecs' && value.includes('/') ? [value, value.slice(value.lastIndexOf('/') + 1)] : [value]
}

export function patternsOf(selector: ContainerSelector, orchestrator: Orchestrator) {
  return Object.entries(selector[orchestrator] ?? {})
}
