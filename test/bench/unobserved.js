// The service without metrics. bench.js compares it with the service as it runs in production.
import { createApplication } from '../../dist/application.js';
import { readEnvironment } from '../../dist/config/read-environment.js';
import { Metrics } from '../../dist/observability/metrics.js';

Metrics.prototype.observe = () => {};
const environment = await readEnvironment();
const app = await createApplication(environment);
await app.listen(environment.PORT, environment.HOST);
app.get(Metrics).onApplicationShutdown(); // unsubscribes from the channels of statements
