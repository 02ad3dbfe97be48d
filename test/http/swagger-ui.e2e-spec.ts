import { hash } from 'node:crypto';
import { type Browser, chromium, type Page } from 'playwright-core';
import { withProgram } from '../support/needs.js';
import { startService, type TestService } from '../support/service.js';

const browserProgram = withProgram('chromium');

browserProgram.describe('the Swagger UI', () => {
  let service: TestService;
  let browser: Browser;
  /** The complaints of the browser: blocks by the content security policy, errors and failed requests. */
  let complaints: string[];
  let page: Page;

  beforeAll(async () => {
    service = await startService();
    browser = await chromium.launch({ executablePath: browserProgram.file, args: QUIET });
  });
  afterAll(async () => {
    await browser?.close();
    await service?.close();
  });

  beforeEach(async () => {
    complaints = [];
    page = await browser.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`));
    page.on('request', (request) => {
      const { protocol, port } = new URL(request.url());
      const isOwn = protocol === 'data:' || port === new URL(service.url).port;
      if (!isOwn) complaints.push(`asked ${request.url()}`);
    });
  });
  afterEach(() => page.close());

  it('Swagger UI creates a project with the proposed example and reads it by its id', async () => {
    const answer = await page.goto(`${service.url}/docs`);
    expect(answer!.headers()['content-security-policy']).toContain("script-src 'self'");

    const created = await tryOut('createProject');
    expect(created.status).toBe('201');
    const { success, data } = JSON.parse(created.body);
    expect({ success, name: data.name }).toEqual({ success: true, name: 'PostgreSQL' });

    const read = await tryOut('getProject', { id: data.id });
    expect(read).toEqual({ status: '200', body: created.body });
    expect(complaints).toEqual([]);
  });

  it('Swagger UI succeeds with each unchanged example, from creating a project to removing it', async () => {
    await page.goto(`${service.url}/docs`);
    const statuses: Record<string, string> = {};
    for (const operation of ['listProjects', 'replaceProject', 'patchProject', 'deleteProject'])
      statuses[operation] = (await tryOut(operation)).status;
    expect(statuses).toEqual({
      listProjects: '200',
      replaceProject: '201',
      patchProject: '200',
      deleteProject: '200',
    });
    expect(complaints).toEqual([]);
  });

  it('Swagger UI sends no request to other servers, under whatever host name it is served', async () => {
    await page.goto(service.url.replace('127.0.0.1', 'projects.example') + '/docs');
    await page.locator('#operations-projects-listProjects').waitFor();
    expect(complaints).toEqual([]);
  });

  it('Swagger UI sends the key that was entered in Authorize', async () => {
    const AUTH_API_KEYS = `visitor:read:${hash('sha256', 'the-key')}`;
    const guarded = await startService({ AUTH_MODE: 'api-key', AUTH_API_KEYS });
    try {
      await page.goto(`${guarded.url}/docs`);
      expect((await tryOut('listProjects')).status).toBe('401');
      await page.getByRole('button', { name: 'Authorize' }).first().click();
      const dialog = page.locator('.dialog-ux');
      await dialog.locator('input').fill('the-key');
      await dialog.locator('button[type=submit]').click();
      await dialog.getByRole('button', { name: 'Close' }).click();
      expect((await tryOut('listProjects')).status).toBe('200');
      expect((await tryOut('createProject')).status).toBe('403');
    } finally {
      await guarded.close();
    }
  });

  /** Opens an operation, fills in its parameters, sends it and reads the answer from the page. */
  async function tryOut(operationId: string, parameters: Record<string, string> = {}) {
    const block = page.locator(`#operations-projects-${operationId}`);
    await block.locator('.opblock-summary-control').click();
    for (const [name, value] of Object.entries(parameters)) {
      await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
    }
    const answered = page.waitForResponse((one) => new URL(one.url()).pathname.startsWith('/api/'));
    await block.getByRole('button', { name: 'Execute' }).click();
    const live = block.locator('.live-responses-table .response');
    // Until the answer arrives, the page shows the answer to the previous execution of the operation.
    const shown = { hasText: String((await answered).status()) };
    await live.locator('.response-col_status', shown).first().waitFor();
    const body = await live.locator('.response-col_description code').first().textContent();
    const status = await live.locator('.response-col_status').first().textContent();
    await block.locator('.opblock-summary-control').click();
    return { status: status!.trim(), body: body! };
  }
});

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP projects.example 127.0.0.1',
];
