import { UserError } from '../domain/errors.ts';
import { run } from './process.ts';
import { commandTimeout, type Connection } from './transport.ts';

/** This very machine, used in the way of the others. */
export function localConnection(name: string): Connection {
  return {
    async exec(argv, options) {
      const { code, stdout, stderr } = await run(argv, {
        input: options.input ?? '',
        ...(options.holdInput === true ? { holdInput: true } : {}),
        timeout: options.timeout,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
        ...(options.onOutput === undefined ? {} : { onOutput: options.onOutput }),
      });
      if (options.signal?.aborted === true)
        throw new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' }, { host: name });
      if (code === 124) throw commandTimeout({ name }, argv, options.timeout);
      return { code, stdout, stderr };
    },
    close: async () => {},
  };
}
