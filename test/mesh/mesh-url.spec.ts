import { validateEnvironment } from '../../src/config/validate-environment.js';
import { parseMeshUrl } from '../../src/config/mesh-url.js';

it.each([
  ['tcp', 'tcp://127.0.0.1:4000', { transport: 'tcp', host: '127.0.0.1', port: 4000 }],
  ['tcp', 'tcp://[::1]:4000', { transport: 'tcp', host: '::1', port: 4000 }],
  ['nats', 'nats://broker', { transport: 'nats', servers: ['broker:4222'], tls: false }],
  [
    'nats',
    'tls://me:p%40ss@a:1, tls://b:2',
    { transport: 'nats', servers: ['a:1', 'b:2'], tls: true, user: 'me', pass: 'p@ss' },
  ],
] as const)('MESH_URL accepts %s %s', (transport, text, address) => {
  expect(parseMeshUrl(transport, text)).toEqual(address);
});

it.each([
  ['tcp', '127.0.0.1:4000', /^must be the address to listen on, such as tcp:\/\/host:port/],
  ['tcp', 'tcp://127.0.0.1', /^must be the address to listen on, such as tcp:\/\/host:port/],
  ['tcp', 'tcp://me@127.0.0.1:1', /^must be the address to listen on, such as tcp:\/\/host:port/],
  ['tcp', 'nats://127.0.0.1:1', /^must be the address to listen on, such as tcp:\/\/host:port/],
  ['nats', 'http://broker:4222', /^must be one or more URLs such as nats:\/\/host:port/],
  ['nats', 'nats://a, b', /^must be one or more URLs such as nats:\/\/host:port/],
  ['nats', 'nats://a,tls://b', /^must have the same scheme/],
  ['nats', 'nats://me:x@a,nats://you:y@b', /^must have the same scheme/],
  ['nats', 'nats://me:100%@a', /write % as %25$/],
  ['nats', 'nats://%ff:x@a', /write % as %25$/],
] as const)('MESH_URL refuses %s %s', (transport, text, fault) => {
  expect(parseMeshUrl(transport, text)).toMatch(fault);
});

it.each([
  [{ MESH_TRANSPORT: 'nats' }, 'MESH_URL must be set with MESH_TRANSPORT=nats'],
  [{ MESH_URL: 'nats://a' }, 'MESH_TRANSPORT must be set to tcp or nats when MESH_URL is set'],
  [
    { MESH_TRANSPORT: 'tcp', MESH_URL: 'nats://secret@a' },
    'MESH_URL must be the address to listen on, such as tcp://host:port, with MESH_TRANSPORT=tcp',
  ],
  [
    { MESH_TRANSPORT: 'tcp', MESH_URL: 'tcp://0.0.0.0:4000' },
    'AUTH_MODE must be set when MESH_URL is not a loopback address (to none if requests need no authentication)',
  ],
  [
    { MESH_TRANSPORT: 'tcp', MESH_URL: 'tcp://127.0.0.1:3000' },
    'MESH_URL must not use the same port as PORT',
  ],
  [
    { MESH_TRANSPORT: 'tcp', MESH_URL: 'tcp://127.0.0.1:9000', METRICS_PORT: '9000' },
    'MESH_URL must not use the same port as METRICS_PORT',
  ],
  [
    { PORT: '9000', METRICS_PORT: '9000' },
    'METRICS_PORT must differ from PORT; remove it to serve /metrics on PORT',
  ],
])('the faults of %j are reported', (variables, fault) => {
  expect(() => validateEnvironment(variables)).toThrow(
    `The configuration is not valid:\n  - ${fault}`,
  );
});
