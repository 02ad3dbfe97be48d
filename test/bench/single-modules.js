// The service from its single modules, with METRICS=none without metrics: a bundle has no such switch, and loading the
// modules differently changes more than metrics cost. callers.js starts it.
import { createApplication } from '../../dist/application.js';
import { readEnvironment } from '../../dist/config/read-environment.js';
import { Metrics } from '../../dist/observability/metrics.js';
import { allocateInYoungGeneration } from '../../dist/process/garbage-collection.js';

const without = process.env.METRICS === 'none';
if (without) Metrics.prototype.observe = () => {};
const environment = await readEnvironment();
const app = await createApplication(environment);
await app.listen(environment.PORT, environment.HOST);
if (without) app.get(Metrics).onApplicationShutdown(); // unsubscribes from the channels of statements
allocateInYoungGeneration();
