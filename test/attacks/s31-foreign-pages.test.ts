/** S-31: a page of another origin acts through the certificate that a browser adds by itself. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Holder, makeCsr, newKey } from "../helpers/authority.ts";
import { openContext, startBrowser } from "../helpers/browser.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let browser: Browser | undefined;
let foreign: Server;
let foreignUrl: string;

const authority = useAuthority();
beforeAll(async () => {
  foreign = createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><title>a foreign page</title><body></body>");
  });
  await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  // Not localhost: another port of the same host would be "same-site".
  foreignUrl = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await browser?.close();
  foreign?.close();
});

/** TLS goes on by our name, whatever the Host header says. */
const byName = { servername: "localhost" };

const countIssued = async () => {
  const list = await authority.call("GET", "/v1/certificates?limit=1000", {
    as: authority.operator,
  });
  return list.json.items.length as number;
};

const csrFor = (cn: string) =>
  makeCsr({ key: newKey(), subject: `/C=IN/ST=Karnataka/O=Example/CN=${cn}` });

const foreignHeaders: readonly Record<string, string>[] = [
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { "sec-fetch-site": "something-new" },
  { origin: "https://evil.example" },
  { origin: "null" },
  { origin: "" },
  // Another scheme, another port, a name that only looks like ours.
  { origin: "http://localhost:PORT" },
  { origin: "https://localhost:1" },
  { origin: "https://localhost.evil.example:PORT" },
  { origin: "https://localhost:PORT.evil.example" },
  { origin: "https://localhost:PORT/" },
  { origin: "https://user@localhost:PORT" },
  { origin: "https://LOCALHOST:PORT" },
  // A name that was rebound to our address: page and request agree, but the name is not ours.
  { origin: "https://rebound.example:PORT", host: "rebound.example:PORT" },
  { "sec-fetch-site": "same-origin", origin: "https://evil.example" },
  { "sec-fetch-site": "cross-site", origin: "https://localhost:PORT" },
];

const withPort = (headers: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      value.replaceAll("PORT", String(authority.port)),
    ]),
  );

describe("what a certificate authenticates acts only for our own pages, or for no browser", () => {
  const routes: readonly {
    readonly title: string;
    send(
      headers: Record<string, string>,
      holder: Holder & { serial: string },
    ): Promise<{
      status: number;
      text: string;
    }>;
  }[] = [
    {
      title: "issue as an operator",
      send: (headers) =>
        authority.call("POST", "/v1/certificates?profile=operator", {
          as: authority.operator,
          body: csrFor("mallory"),
          headers: { "content-type": "text/plain", ...headers },
          tls: byName,
        }),
    },
    {
      title: "mint a token",
      send: (headers) =>
        authority.call("POST", "/v1/tokens", {
          as: authority.operator,
          body: { profile: "operator", cn: "mallory" },
          headers,
          tls: byName,
        }),
    },
    {
      title: "revoke as an operator",
      send: (headers, holder) =>
        authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
          as: authority.operator,
          body: { reason: "superseded" },
          headers,
          tls: byName,
        }),
    },
    {
      title: "revoke as its holder",
      send: (headers, holder) =>
        authority.call("POST", `/v1/certificates/${holder.serial}/revoke`, {
          as: holder,
          body: { reason: "superseded" },
          headers,
          tls: byName,
        }),
    },
    {
      title: "renew",
      send: (headers, holder) =>
        authority.call("POST", "/v1/certificates/renew", { as: holder, headers, tls: byName }),
    },
    {
      title: "check",
      send: (headers, holder) =>
        authority.call("POST", "/v1/certificates/check", {
          as: holder,
          body: csrFor("web"),
          headers: { "content-type": "text/plain", ...headers },
          tls: byName,
        }),
    },
  ];

  test.each(routes)("$title: every foreign request is refused and nothing happens", async (one) => {
    const holder = await authority.enrol({ cn: "browsed" });
    const before = await countIssued();
    for (const headers of foreignHeaders) {
      const answer = await one.send(withPort(headers), holder);
      expect(answer.status, JSON.stringify(headers)).toBe(403);
      expect(JSON.parse(answer.text).type).toBe("urn:countersign:error:foreign-origin");
    }
    expect(await countIssued()).toBe(before);
    const entry = await authority.call("GET", `/v1/certificates/${holder.serial}`, { as: holder });
    expect(entry.json.status).toBe("valid");
  });

  test.each(routes)("$title: our own pages and programs are served", async (one) => {
    const own: readonly Record<string, string>[] = [
      {},
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "same-origin", origin: "https://localhost:PORT" },
      { origin: "https://localhost:PORT" },
      { origin: "https://127.0.0.1:PORT", host: "127.0.0.1:PORT" },
    ];
    for (const headers of own) {
      const holder = await authority.enrol({ cn: "browsed" });
      const answer = await one.send(withPort(headers), holder);
      expect(answer.status, `${JSON.stringify(headers)} ${answer.text}`).toBeLessThan(300);
    }
  });

  test("reading is served, since a foreign page never sees the answer", async () => {
    const answer = await authority.call("GET", "/v1/certificates", {
      as: authority.operator,
      headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("a token is no ambient credential: its holder may be a page anywhere", async () => {
    const answer = await authority.call("POST", "/v1/certificates", {
      token: await authority.mint({ profile: "client", cn: "page" }),
      body: csrFor("page"),
      headers: { "content-type": "application/pkcs10", origin: "https://evil.example" },
    });
    expect(answer.status, answer.text).toBe(201);
  });

  test("the audit names whose certificate was misused, and why it was refused", async () => {
    const audit = await authority.call("GET", "/v1/audit?limit=1000", { as: authority.operator });
    const lines = audit.json.items.filter(
      (one: { code?: string }) => one.code === "foreign-origin",
    );
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.every((one: { verdict: string }) => one.verdict === "refused")).toBe(true);
    expect(lines.some((one: { caller: string }) => one.caller.startsWith("operator:"))).toBe(true);
  });
});

describe("a real browser that holds the operator's certificate", () => {
  const browserTest = testWith("chromium");

  const openForeignPage = async () => {
    browser ??= await startBrowser();
    const context = await openContext(browser, authority, { operator: true });
    const page = await context.newPage();
    await page.goto(foreignUrl);
    return page;
  };

  browserTest("a foreign page's fetch in no-cors mode issues nothing", async () => {
    const page = await openForeignPage();
    const before = await countIssued();
    const refusals = async () =>
      (
        await authority.call("GET", "/v1/audit?limit=1000", { as: authority.operator })
      ).json.items.filter((one: { code?: string }) => one.code === "foreign-origin")
        .length as number;
    const refused = await refusals();
    // The browser also keeps the refusal from the page: it may not read answers of ours.
    await page.evaluate(
      ([url, csr]) =>
        fetch(`${url}/v1/certificates?profile=operator`, {
          method: "POST",
          mode: "no-cors",
          credentials: "include",
          headers: { "content-type": "text/plain" },
          body: csr,
        }).then(
          () => undefined,
          () => undefined,
        ),
      [authority.url, csrFor("mallory")] as const,
    );
    await expect.poll(refusals, { timeout: 20_000 }).toBe(refused + 1);
    expect(await countIssued()).toBe(before);
    await page.context().close();
  });

  browserTest("a foreign page's form issues nothing and revokes nothing", async () => {
    const holder = await authority.enrol({ cn: "victim" });
    const before = await countIssued();
    for (const path of [
      "/v1/certificates?profile=operator",
      `/v1/certificates/${holder.serial}/revoke`,
      "/v1/tokens",
    ]) {
      const page = await openForeignPage();
      const seen = page.waitForResponse((one) => one.url() === `${authority.url}${path}`);
      // As `name=value`, text/plain would put an equals sign: the request stands in the name.
      await page.setContent(
        `<form method="post" enctype="text/plain" action="${authority.url}${path}"><textarea name="${csrFor("mallory")}"></textarea></form>`,
      );
      await page.evaluate("document.forms[0].submit()");
      expect((await seen).status()).toBe(403);
      await page.context().close();
    }
    expect(await countIssued()).toBe(before);
    const entry = await authority.call("GET", `/v1/certificates/${holder.serial}`, { as: holder });
    expect(entry.json.status).toBe("valid");
  });

  browserTest("Swagger UI, a page of our own, still mints a token", async () => {
    browser ??= await startBrowser();
    const context = await openContext(browser, authority, { operator: true });
    const page = await context.newPage();
    await page.goto(`${authority.url}/docs`);
    await page.locator(".opblock").first().waitFor();
    const status = await page.evaluate(() =>
      fetch("/v1/tokens", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ profile: "client", cn: "from-our-page" }),
      }).then((answer) => answer.status),
    );
    expect(status).toBe(201);
    await context.close();
  });
});
