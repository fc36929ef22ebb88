import * as z from 'zod';
import { failure } from './schemas.ts';

/** Who may use a route: everybody, agents, or who has the admin token. */
export type Audience = 'anyone' | 'agent' | 'admin';

/** A route as it is published. */
export interface RouteFacts {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With `{name}` for what varies. */
  readonly path: string;
  readonly about: string;
  readonly audience: Audience;
  readonly body?: z.ZodType;
  /** The good answer: a schema, or the media type of a text. */
  readonly answer: z.ZodType | string;
}

/** The OpenAPI 3.1 document of these routes. */
export function openApi(routes: readonly RouteFacts[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const operation = {
      summary: route.about,
      ...(route.audience === 'anyone' ? {} : { security: [{ [`${route.audience}Token`]: [] }] }),
      ...parametersOf(route.path),
      ...(route.body === undefined
        ? {}
        : {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: jsonSchema(route.body, 'input') } },
            },
          }),
      responses: {
        200: { description: 'as asked', content: contentOf(route.answer) },
        default: { description: 'refused', content: { 'application/json': { schema: jsonSchema(failure, 'output') } } },
      },
    };
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation };
  }
  const bearer = (about: string): unknown => ({ type: 'http', scheme: 'bearer', description: about });
  return {
    openapi: '3.1.0',
    info: { title: 'xingrin control plane', version },
    paths,
    components: {
      securitySchemes: {
        agentToken: bearer('the token of one worker'),
        adminToken: bearer('ADMIN_TOKEN of docker/.env'),
      },
    },
  };
}

function parametersOf(path: string): { parameters?: unknown[] } {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
  if (names.length === 0) return {};
  return { parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })) };
}

function contentOf(answer: z.ZodType | string): unknown {
  if (typeof answer === 'string') return { [answer]: { schema: { type: 'string' } } };
  return { 'application/json': { schema: jsonSchema(answer, 'output') } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const { $schema: _dialect, id: _id, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
