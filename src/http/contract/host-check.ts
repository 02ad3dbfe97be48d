import type { OnModuleInit, Provider, Type } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { countImports, ModulesContainer } from '../internals/nest.js';

/**
 * Prevents the start of an application that cannot serve the routes of a module, because it does not run on Express
 * or imports the module twice.
 */
class HostCheck implements OnModuleInit {
  constructor(
    private readonly name: string,
    private readonly module: Type | undefined,
    private readonly modules: ModulesContainer,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    const { name, module } = this;
    // An application without HTTP has no adapter.
    const platform = (
      this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined
    )?.getType();
    if (platform && platform !== 'express') {
      throw new Error(
        `${name} needs Express, and this application runs on ${platform}. Create it with @nestjs/platform-express.`,
      );
    }
    const imports = module ? countImports(this.modules, module) : 1;
    if (imports > 1) {
      throw new Error(
        `${name} is imported ${imports} times with different options, and all would serve the same paths. Import it once, with one set of options. For other databases use the functional factories.`,
      );
    }
  }
}

/**
 * Returns the check as a provider for a module of routes. `module` is for a module with options: Nest would import it
 * twice if the options differ.
 */
export function hostCheck(name: string, module?: () => Type): Provider {
  return {
    provide: HostCheck,
    inject: [ModulesContainer, HttpAdapterHost],
    useFactory: (modules: ModulesContainer, host: HttpAdapterHost) =>
      new HostCheck(name, module?.(), modules, host),
  };
}
