/**
 * One code for each status of the IANA registry that the service itself never answers. A guard or an
 * interceptor of a host application may answer it with Nest's HttpException.
 */
export const STATUS_KINDS = {
  payment_required: { status: 402, title: 'Payment is required' },
  proxy_authentication_required: { status: 407, title: 'A proxy requires authentication' },
  gone: { status: 410, title: 'The resource is gone' },
  length_required: { status: 411, title: 'The request needs a Content-Length' },
  precondition_failed: { status: 412, title: 'A precondition of the request failed' },
  uri_too_long: { status: 414, title: 'The request target is too long' },
  range_not_satisfiable: { status: 416, title: 'The range cannot be satisfied' },
  im_a_teapot: { status: 418, title: 'The server is a teapot' },
  misdirected_request: { status: 421, title: 'The request was sent to the wrong server' },
  unprocessable_content: { status: 422, title: 'The content cannot be processed' },
  locked: { status: 423, title: 'The resource is locked' },
  failed_dependency: { status: 424, title: 'A request that this one depends on failed' },
  too_early: { status: 425, title: 'The request came too early' },
  upgrade_required: { status: 426, title: 'The client must upgrade the protocol' },
  precondition_required: { status: 428, title: 'The request must be conditional' },
  unavailable_for_legal_reasons: {
    status: 451,
    title: 'The resource is unavailable for legal reasons',
  },
  not_implemented: { status: 501, title: 'The service does not implement this' },
  bad_gateway: { status: 502, title: 'Another service gave an invalid answer' },
  service_unavailable: { status: 503, title: 'The service is unavailable' },
  gateway_timeout: { status: 504, title: 'Another service did not answer in time' },
  http_version_not_supported: { status: 505, title: 'The HTTP version is not supported' },
  variant_also_negotiates: { status: 506, title: 'The server is configured wrongly' },
  insufficient_storage: { status: 507, title: 'There is not enough storage' },
  loop_detected: { status: 508, title: 'The server met an infinite loop' },
  not_extended: { status: 510, title: 'The request needs an extension' },
  network_authentication_required: { status: 511, title: 'The network requires authentication' },
  // For a status that is not in the registry. The answer keeps the status of the exception.
  client_error: { status: 400, title: 'The request was refused' },
  server_error: { status: 500, title: 'The request could not be answered' },
} as const;

/** The code for an exception that has only a status. */
export const CODES_BY_STATUS = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'request_timeout',
  409: 'conflict',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  417: 'expectation_failed',
  429: 'too_many_requests',
  431: 'headers_too_large',
  500: 'internal_error',
} as const;
