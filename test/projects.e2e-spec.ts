import request from 'supertest';
import { aProject } from './support/builders.js';
import { startService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => (service = await startService()));
afterAll(() => service.close());

describe('projects', () => {
  it('are created, found, changed and removed', async () => {
    const api = request(service.url);
    const created = await api.post('/api/projects').send(aProject({ name: 'First' })).expect(201);
    const { id } = created.body.data;
    await api.get(`/api/projects/${id}`).expect(200, created.body);
  });
});
