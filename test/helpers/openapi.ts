/** Holds real answers against the OpenAPI document: an undocumented status, type or field is an error. */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly text: string;
}

interface Operation {
  readonly operationId: string;
  readonly responses: Record<string, { content?: Record<string, { schema?: object }> }>;
}

/** What each operation was seen to answer in this process, as `operationId status`. */
export const exercised = new Set<string>();

/** Gives a checker for a document; it throws on the first answer that the document does not describe. */
export function answerChecker(
  document: object,
): (method: string, path: string, answer: Answer) => void {
  const { paths, components } = document as {
    paths: Record<string, Record<string, Operation>>;
    components: object;
  };
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema({ $id: "openapi", components });
  const compiled = new Map<object, ValidateFunction>();
  const patterns = Object.entries(paths).map(
    ([path, operations]) =>
      [
        new RegExp(`^${path.replace(/\{[^}]+\}/g, "[^/]+")}$`),
        path.includes("{"),
        operations,
      ] as const,
  );
  // A path without parameters is meant before one that would also fit.
  patterns.sort((a, b) => Number(a[1]) - Number(b[1]));
  return (method, url, answer) => {
    const path = url.split("?", 1)[0] ?? "";
    const operations = patterns.find(([pattern]) => pattern.test(path))?.[2];
    const operation = operations?.[method.toLowerCase()];
    if (operation === undefined) return;
    exercised.add(`${operation.operationId} ${answer.status}`);
    const where = `${operation.operationId} answered ${answer.status}`;
    const response = operation.responses[String(answer.status)];
    if (response === undefined) throw new Error(`${where}, which OpenAPI does not have`);
    const type = answer.type?.split(";", 1)[0] ?? "";
    const content = response.content?.[type];
    if (content === undefined) throw new Error(`${where} as ${type}, which OpenAPI does not have`);
    if (!type.endsWith("json") || type.includes("ndjson") || !content.schema) return;
    const validate =
      compiled.get(content.schema) ??
      ajv.compile(
        JSON.parse(
          JSON.stringify(content.schema).replaceAll("#/components", "openapi#/components"),
        ),
      );
    compiled.set(content.schema, validate);
    if (!validate(JSON.parse(answer.text))) {
      throw new Error(
        `${where} with another body than OpenAPI says: ${ajv.errorsText(validate.errors)}`,
      );
    }
  };
}
