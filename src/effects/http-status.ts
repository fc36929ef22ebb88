import { request } from 'node:http';

export interface HttpPlace {
  /** A unix socket; or else `host` and `port`. */
  readonly socket?: string;
  readonly host?: string;
  readonly port?: number;
  readonly path: string;
}

/** The status of a GET over plain HTTP, or null where nobody answers within the time limit (milliseconds). */
export function httpStatus(place: HttpPlace, limit = 2_000): Promise<number | null> {
  const { socket, host, port, path } = place;
  const target = socket === undefined ? { host, port } : { socketPath: socket };
  return new Promise((resolve) => {
    const asked = request({ ...target, path, agent: false, timeout: limit }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? null);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.on('close', () => resolve(null));
    asked.end();
  });
}
