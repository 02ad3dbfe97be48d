import type { OnModuleInit, Provider, Type } from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';

/** Refuses at the start an application in which a module of routes could not be served. */
class HostCheck implements OnModuleInit {
  constructor(
    private readonly module: Type,
    private readonly modules: ModulesContainer,
    private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    const { name } = this.module;
    // None in an application without HTTP.
    const platform = (
      this.host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined
    )?.getType();
    if (platform && platform !== 'express') {
      throw new Error(
        `${name} needs Express, and this application runs on ${platform}. Create it with @nestjs/platform-express.`,
      );
    }
    const imports = [...this.modules.values()].filter(({ metatype }) => metatype === this.module);
    if (imports.length > 1) {
      throw new Error(
        `${name} is imported ${imports.length} times with different options, and all would serve the same paths. Import it once, with one set of options. For other databases use the functional factories.`,
      );
    }
  }
}

/** The check of a module, as one of its providers. */
export function hostCheck(module: () => Type): Provider {
  return {
    provide: HostCheck,
    inject: [ModulesContainer, HttpAdapterHost],
    useFactory: (modules: ModulesContainer, host: HttpAdapterHost) =>
      new HostCheck(module(), modules, host),
  };
}
