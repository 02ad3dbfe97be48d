// Starts the service for npm run bench:replicas. At each SIGUSR2 its writes stop answering a consistency token, or begin
// again, so that one process can be compared with itself: two equal processes differ by up to a fifth.
import 'reflect-metadata';
import { createApplication, listen } from '../../dist/application.js';
import { readEnvironment } from '../../dist/config/read-environment.js';
import { wantPositions } from '../../dist/db/connection.js';
import { DATABASE } from '../../dist/db/database.module.js';
import { allocateInYoungGeneration } from '../../dist/process/garbage-collection.js';
import { ProjectsController } from '../../dist/projects/projects.controller.js';

const environment = await readEnvironment();
const app = await createApplication(environment);
const [interceptor] = interceptorsOf(ProjectsController.prototype.create);
const { intercept } = interceptor.prototype;

let answersTokens = true;
// Replaced once, because V8 compiles the callers again after each change of a prototype.
interceptor.prototype.intercept = function (context, next) {
  return answersTokens ? intercept.call(this, context, next) : next.handle();
};
process.on('SIGUSR2', () => {
  answersTokens = !answersTokens;
  wantPositions(app.get(DATABASE), answersTokens);
});
await listen(app, environment);
allocateInYoungGeneration(); // as main.ts does

/** Reads the metadata of @UseInterceptors. */
function interceptorsOf(route) {
  const interceptors = Reflect.getMetadata('__interceptors__', route) ?? [];
  const found = interceptors.filter(({ name }) => name === 'ConsistencyTokenInterceptor');
  if (found.length !== 1) throw new Error('The route has no interceptor for its token.');
  return found;
}
