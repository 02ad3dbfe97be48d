import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** Returns the names and the number of lines of the decorators of each method that has some. */
function decoratorsIn(file: string): Record<string, { names: string[]; lines: number }> {
  const text = readFileSync(file, 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: ReturnType<typeof decoratorsIn> = {};
  const visit = (node: ts.Node): void => {
    const decorators = ts.isMethodDeclaration(node) ? (ts.getDecorators(node) ?? []) : [];
    if (decorators.length > 0)
      found[(node as ts.MethodDeclaration).name.getText()] = {
        names: decorators.map(({ expression }) => expression.getText().replace(/\([^]*/, '')),
        lines: decorators.flatMap((one) => one.getText().split('\n')).length,
      };
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

it('one @Endpoint declares each route of an entity', () => {
  const routes = decoratorsIn('src/entities/entity.controller.ts');
  const write = ['AnswersOneWrite', 'Endpoint'];
  expect(
    Object.fromEntries(Object.entries(routes).map(([name, { names }]) => [name, names])),
  ).toEqual({
    list: ['Endpoint'],
    get: ['Endpoint'],
    create: write,
    put: write,
    patch: write,
    remove: write,
  });
});

it('the controller of projects declares only its own list, in at most 20 lines', () => {
  const { list, ...others } = decoratorsIn('src/projects/projects.controller.ts');
  expect([list!.names, others]).toEqual([['Endpoint'], {}]);
  expect(list!.lines).toBeLessThanOrEqual(20);
});
