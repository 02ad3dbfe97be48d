/** An optional package that is not installed. */
export class MissingPackageError extends Error {
  override readonly name = 'MissingPackageError';
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78;
}

/** Loads an optional package. `needs` names the feature that needs it, for the error if it is not installed. */
export async function optionalPackage<T>(
  name: string,
  load: () => Promise<T>,
  needs: string,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new MissingPackageError(
      `${needs} needs the package ${name}, which is not installed: npm install ${name}`,
      { cause: error },
    );
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
