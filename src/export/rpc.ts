/**
 * The gRPC services of proto/hullguard/v1 as grpc-js takes them, over the generated codec. What a peer sends is decoded
 * here; bytes that are no message make the call fail, never the process.
 */
import { logVerbosity, type MethodDefinition, type ServiceDefinition, setLogVerbosity } from '@grpc/grpc-js'
import protobuf from 'protobufjs/minimal.js'
import {
  type AgentsRequest,
  type AgentsResponse,
  type DeliverRequest,
  type DeliverResponse,
  decodeAgentsRequest,
  decodeAgentsResponse,
  decodeDeliverRequest,
  decodeDeliverResponse,
  decodeEventsRequest,
  decodeEventsResponse,
  type EventsRequest,
  type EventsResponse,
  encodeAgentsRequest,
  encodeAgentsResponse,
  encodeDeliverRequest,
  encodeDeliverResponse,
  encodeEventsRequest,
  encodeEventsResponse,
} from '../record/generated/wire.js'

export const PROTOCOL_VERSION = 1

/** grpc-js writes faults to stderr by itself; here they come back as errors, and the caller's logger has them. */
export function quietGrpc(): void {
  setLogVerbosity(logVerbosity.NONE)
}

type Encode<T> = (message: T) => protobuf.Writer
type Decode<T> = (reader: protobuf.Reader) => T

function method<Request, Response>(
  path: string,
  streams: { request: boolean; response: boolean },
  request: { encode: Encode<Request>; decode: Decode<Request> },
  response: { encode: Encode<Response>; decode: Decode<Response> },
): MethodDefinition<Request, Response> {
  return {
    path,
    requestStream: streams.request,
    responseStream: streams.response,
    requestSerialize: (message) => toBuffer(request.encode(message)),
    requestDeserialize: (bytes) => request.decode(protobuf.Reader.create(bytes)),
    responseSerialize: (message) => toBuffer(response.encode(message)),
    responseDeserialize: (bytes) => response.decode(protobuf.Reader.create(bytes)),
  }
}

function toBuffer(writer: protobuf.Writer): Buffer {
  const bytes = writer.finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export const DELIVER = method<DeliverRequest, DeliverResponse>(
  '/hullguard.v1.Delivery/Deliver',
  { request: true, response: true },
  { encode: (m) => encodeDeliverRequest(m), decode: (r) => decodeDeliverRequest(r) },
  { encode: (m) => encodeDeliverResponse(m), decode: (r) => decodeDeliverResponse(r) },
)

export const EVENTS = method<EventsRequest, EventsResponse>(
  '/hullguard.v1.Query/Events',
  { request: false, response: true },
  { encode: (m) => encodeEventsRequest(m), decode: (r) => decodeEventsRequest(r) },
  { encode: (m) => encodeEventsResponse(m), decode: (r) => decodeEventsResponse(r) },
)

export const AGENTS = method<AgentsRequest, AgentsResponse>(
  '/hullguard.v1.Query/Agents',
  { request: false, response: false },
  { encode: (m) => encodeAgentsRequest(m), decode: (r) => decodeAgentsRequest(r) },
  { encode: (m) => encodeAgentsResponse(m), decode: (r) => decodeAgentsResponse(r) },
)

export const DELIVERY_SERVICE = { deliver: DELIVER } satisfies ServiceDefinition
export const QUERY_SERVICE = { events: EVENTS, agents: AGENTS } satisfies ServiceDefinition
