// TypeScript for the JSON Schemas of our documents: `StatusDocument` for `xingrin status --json`, and so on.

/** @param {Record<string, any>} schemas by command */
export function documentTypes(schemas) {
  const names = Object.keys(schemas);
  const types = names.map(
    (name) =>
      `/** What \`xingrin ${name} --json\` prints. */\nexport type ${typeName(name)} = ${typeOf(schemas[name])};\n`,
  );
  const all = names.map((name) => `  ${JSON.stringify(name)}: ${typeName(name)};`).join('\n');
  return `// Made from the schemas beside it when xingrin was built.\n\n${types.join('\n')}\n/** By command. */\nexport interface Documents {\n${all}\n}\n`;
}

function typeName(command) {
  const words = command.split(' ').map((word) => word[0].toUpperCase() + word.slice(1));
  return `${words.join('')}Document`;
}

function typeOf(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type })).join(' | ');
  switch (schema.type) {
    case 'object':
      return objectType(schema);
    case 'array':
      return `ReadonlyArray<${typeOf(schema.items)}>`;
    case 'integer':
      return 'number';
    case undefined:
      return 'unknown';
    default:
      return schema.type;
  }
}

function objectType({ properties, required = [], additionalProperties }) {
  if (properties === undefined) return `Readonly<Record<string, ${typeOf(additionalProperties ?? {})}>>`;
  const fields = Object.entries(properties).map(
    ([key, schema]) => `readonly ${JSON.stringify(key)}${required.includes(key) ? '' : '?'}: ${typeOf(schema)};`,
  );
  return `{ ${fields.join(' ')} }`;
}
