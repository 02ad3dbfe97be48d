import { runInNewContext } from 'node:vm';
import { withNaturalNames } from '../../scripts/natural-names.js';

/** What esbuild makes of classes and functions, with its names for those that it had to rename. */
const BUNDLED = `
var __name = (target, value) => Object.defineProperty(target, "name", { value, configurable: true });
var Same = class {
  static {
    __name(this, "Same");
  }
};
var Renamed2 = class _Renamed2 extends Same {
  static {
    __name(this, "Renamed");
  }
};
let Assigned; Assigned = class { static { __name(this, "Assigned"); } };
var Given = (0, (made) => made)(class { static { __name(this, "Given"); } });
class Declared { static { __name(this, "Declared"); } }
class Declared2 extends Declared { static { __name(this, "Declared"); } }
function same() {}
__name(same, "same");
function renamed2() {}
__name(renamed2, "renamed");
var property = { one: class { static { __name(this, "one"); } }, ["other"]: class { static { __name(this, "other"); } } };
[Same, Renamed2, Assigned, Given, Declared, Declared2, same, renamed2, property.one, property.other].map(({ name }) => name)`;
const NAMES = 'Same Renamed Assigned Given Declared Declared same renamed one other'.split(' ');

describe('the bundles', () => {
  it('have the names that esbuild keeps, without a call for each class', () => {
    const natural = withNaturalNames(BUNDLED);
    expect(runInNewContext(BUNDLED)).toEqual(NAMES);
    expect(runInNewContext(natural)).toEqual(NAMES);
    expect(natural.match(/__name\(/g)).toHaveLength(1);
  });

  it('keep their lines, for the source maps', () => {
    const lines = (code: string) => code.split('\n').length;
    expect(lines(withNaturalNames(BUNDLED))).toBe(lines(BUNDLED));
  });
});
