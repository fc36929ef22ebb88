import { UserError } from '../../src/domain/errors.ts';

/** The error by which `run` refuses. Anything else that it throws goes on; not to refuse is an error. */
export function refusal(run: () => unknown): UserError {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
