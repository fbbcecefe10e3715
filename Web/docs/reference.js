// Turns an OpenAPI description into what a person wants to read: no browser needed, so that it can be tested alone.

const METHODS = ["get", "post", "put", "patch", "delete"];
// Deeper than any answer of ours; a description that refers to itself would never end.
const DEEPEST = 3;

/** What a `$ref` stands for; the schema itself when it is none. */
export function resolved(schema, description) {
  let found = schema;
  for (let step = 0; found?.$ref && step < 8; step += 1) {
    found = found.$ref.replace(/^#\//, "").split("/").reduce((part, key) => part?.[key], description);
  }
  return found ?? {};
}

/** A schema's kind in a few words: `string (uuid)`, `list of Seat`, `text or null`. */
export function kindOf(schema, description) {
  const name = schema?.$ref?.split("/").at(-1);
  const plain = resolved(schema, description);
  const choices = plain.anyOf ?? plain.oneOf;
  if (choices) return choices.map((choice) => kindOf(choice, description)).join(" or ");
  if (plain.const !== undefined) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((value) => JSON.stringify(value)).join(", ");
  if (plain.type === "array") return `list of ${kindOf(plain.items ?? {}, description)}`;
  if (plain.type === "object") return name ?? (plain.additionalProperties ? "object by name" : "object");
  const type = [plain.type ?? "anything"].flat().join(" or ");
  return plain.format ? `${type} (${plain.format})` : type;
}

function bounds(schema) {
  const words = [];
  if (schema.minimum !== undefined) words.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) words.push(`at most ${schema.maximum}`);
  if (schema.minLength !== undefined) words.push(`${schema.minLength} characters or more`);
  if (schema.maxLength !== undefined) words.push(`${schema.maxLength} characters or fewer`);
  if (schema.minItems !== undefined) words.push(`${schema.minItems} or more`);
  if (schema.maxItems !== undefined) words.push(`${schema.maxItems} or fewer`);
  if (schema.pattern) words.push(`matches ${schema.pattern}`);
  return words.join(", ");
}

/** The fields of an object, those of objects within it below it, as rows of a table. */
export function fieldsOf(schema, description, depth = 0) {
  const plain = resolved(schema, description);
  if (plain.type === "array") return fieldsOf(plain.items ?? {}, description, depth);
  const choices = plain.anyOf ?? plain.oneOf;
  if (choices) return choices.flatMap((choice) => fieldsOf(choice, description, depth));
  const rows = [];
  for (const [name, field] of Object.entries(plain.properties ?? {})) {
    const inner = resolved(field, description);
    const about = [inner.description, bounds(inner)].filter(Boolean).join(" · ");
    const required = (plain.required ?? []).includes(name);
    rows.push({ name, kind: kindOf(field, description), required, about, depth });
    if (depth < DEEPEST) rows.push(...fieldsOf(field, description, depth + 1));
  }
  return rows;
}

/** Every route, in the order in which it is described, grouped by its first tag. */
export function routesOf(description) {
  const routes = [];
  for (const [path, methods] of Object.entries(description.paths ?? {})) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const parameters = [...(methods.parameters ?? []), ...(operation.parameters ?? [])];
      routes.push({
        id: `${method}${path}`.replace(/[^A-Za-z0-9]+/g, "-"),
        method: method.toUpperCase(),
        path,
        tag: operation.tags?.[0] ?? "other",
        summary: operation.summary ?? "",
        about: operation.description ?? "",
        isOpen: (operation.security ?? description.security ?? []).length === 0,
        parameters: parameters.map((parameter) => {
          const plain = resolved(parameter, description);
          const schema = resolved(plain.schema, description);
          return {
            name: plain.name,
            where: plain.in,
            kind: kindOf(plain.schema, description),
            required: Boolean(plain.required),
            about: [plain.description ?? schema.description, bounds(schema)].filter(Boolean).join(" · "),
          };
        }),
        bodies: contents(operation.requestBody, description),
        answers: Object.entries(operation.responses ?? {}).map(([status, answer]) => ({
          status: status === "default" ? "otherwise" : status,
          about: resolved(answer, description).description ?? "",
          bodies: contents(answer, description),
        })),
      });
    }
  }
  return routes;
}

function contents(body, description) {
  return Object.entries(resolved(body, description).content ?? {}).map(([type, { schema }]) => ({
    type,
    kind: kindOf(schema, description),
    fields: fieldsOf(schema, description),
  }));
}

/** Whether every word of what somebody typed occurs in the route. */
export function matches(route, text) {
  const hay = `${route.method} ${route.path} ${route.tag} ${route.summary} ${route.about}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}
