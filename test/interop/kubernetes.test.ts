import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { repository, runCountersign } from "../helpers/processes.ts";

/** The fields of Kubernetes' own schemas that these manifests rest on; others are left to the cluster. */
const locked = {
  type: "object",
  required: ["allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"],
  properties: {
    allowPrivilegeEscalation: { const: false },
    readOnlyRootFilesystem: { const: true },
    capabilities: { properties: { drop: { const: ["ALL"] } }, required: ["drop"] },
  },
};
const container = {
  type: "object",
  required: ["name", "image", "volumeMounts", "securityContext"],
  additionalProperties: false,
  properties: {
    name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
    image: { type: "string" },
    args: { type: "array", items: { type: "string" } },
    restartPolicy: { const: "Always" },
    ports: {
      type: "array",
      items: {
        type: "object",
        required: ["containerPort"],
        properties: { containerPort: { type: "integer", minimum: 1, maximum: 65535 } },
      },
    },
    resources: { type: "object" },
    securityContext: locked,
    volumeMounts: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        required: ["name", "mountPath"],
        additionalProperties: false,
        properties: {
          name: { type: "string" },
          mountPath: { type: "string", pattern: "^/" },
          readOnly: { type: "boolean" },
        },
      },
    },
  },
};
const podSpec = {
  type: "object",
  required: [
    "serviceAccountName",
    "automountServiceAccountToken",
    "securityContext",
    "initContainers",
    "containers",
    "volumes",
  ],
  additionalProperties: false,
  properties: {
    restartPolicy: { enum: ["Never", "OnFailure"] },
    serviceAccountName: { type: "string" },
    automountServiceAccountToken: { const: false },
    securityContext: {
      type: "object",
      required: ["runAsNonRoot", "seccompProfile"],
      properties: { runAsNonRoot: { const: true } },
    },
    initContainers: { type: "array", minItems: 1, items: container },
    containers: {
      type: "array",
      minItems: 1,
      items: { ...container, properties: { ...container.properties, restartPolicy: false } },
    },
    volumes: {
      type: "array",
      items: {
        type: "object",
        required: ["name"],
        additionalProperties: false,
        minProperties: 2,
        maxProperties: 2,
        properties: {
          name: { type: "string" },
          emptyDir: {
            type: "object",
            properties: { medium: { const: "Memory" } },
            required: ["medium"],
          },
          configMap: { type: "object", required: ["name"] },
          projected: {
            type: "object",
            required: ["sources"],
            properties: {
              sources: {
                type: "array",
                items: {
                  type: "object",
                  required: ["serviceAccountToken"],
                  properties: {
                    serviceAccountToken: {
                      type: "object",
                      required: ["path", "audience", "expirationSeconds"],
                      // The kubelet refuses less than ten minutes.
                      properties: { expirationSeconds: { type: "integer", minimum: 600 } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
};
const template = { type: "object", required: ["spec"], properties: { spec: podSpec } };
function resource(apiVersion: string, kind: string, spec: object) {
  return {
    type: "object",
    required: ["apiVersion", "kind", "metadata", "spec"],
    additionalProperties: false,
    properties: { apiVersion: { const: apiVersion }, kind: { const: kind }, metadata, spec },
  };
}
const metadata = { type: "object", required: ["name"] };
const schemas = {
  Deployment: resource("apps/v1", "Deployment", {
    type: "object",
    required: ["selector", "template"],
    properties: { template },
  }),
  Job: resource("batch/v1", "Job", {
    type: "object",
    required: ["template"],
    properties: {
      template: {
        ...template,
        properties: { spec: { ...podSpec, required: [...podSpec.required, "restartPolicy"] } },
      },
    },
  }),
} as const;

interface Pod {
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
}
interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

describe.each([
  ["sidecar.yaml", "Deployment"],
  ["job.yaml", "Job"],
] as const)("examples/kubernetes/%s", (file, kind) => {
  const text = readFileSync(join(repository, "examples/kubernetes", file), "utf8");
  const [document] = parseAllDocuments(text);
  const manifest = document?.toJS() as { spec: { template: { spec: Pod } } };
  const pod = manifest.spec.template.spec;

  test("has the fields of its kind, and no field that the kind does not have", () => {
    const ajv = new Ajv2020({ allErrors: true, strict: false });
    const valid = ajv.validate(schemas[kind], manifest);
    expect(ajv.errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  test("mounts only volumes that it declares, and uses each of them", () => {
    const declared = pod.volumes.map((one) => one.name);
    const mounted = [...pod.initContainers, ...pod.containers].flatMap((one) =>
      one.volumeMounts.map((mount) => mount.name),
    );
    expect(mounted.filter((name) => !declared.includes(name))).toEqual([]);
    expect(declared.filter((name) => !mounted.includes(name))).toEqual([]);
  });

  test("calls commands and options that the program has", async () => {
    const ours = [...pod.initContainers, ...pod.containers].filter((one) =>
      one.image.startsWith("countersign"),
    );
    expect(ours.length).toBeGreaterThan(0);
    for (const { args = [] } of ours) {
      const [name = "", ...flags] = args;
      const help = await runCountersign([name, "--help"]);
      expect(help).toMatchObject({ code: 0 });
      const known: string[] = help.out.match(/^ +--[a-z-]+/gm)?.map((flag) => flag.trim()) ?? [];
      expect(
        flags.map((flag) => flag.split("=")[0] ?? "").filter((flag) => !known.includes(flag)),
      ).toEqual([]);
    }
  });

  test("reads tokens and roots where they are mounted", () => {
    for (const { args = [], volumeMounts } of pod.initContainers) {
      const paths = args.flatMap((one) => /=(\/.+)$/.exec(one)?.[1] ?? []);
      expect(paths.length).toBeGreaterThan(2);
      for (const path of paths) {
        expect(
          volumeMounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`)),
          path,
        ).toBe(true);
      }
    }
  });
});
