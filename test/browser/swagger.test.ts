import type { Browser, Page } from "playwright-core";
import { afterAll, describe, expect } from "vitest";
import { openContext, startBrowser } from "../helpers/browser.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const test = testWith("chromium");
let browser: Browser | undefined;

const authority = useAuthority();
afterAll(async () => {
  await browser?.close();
});

/** A page in a real browser that trusts the root and, with `operator`, holds the credential. */
async function open(path: string, { operator = false } = {}): Promise<Page> {
  browser ??= await startBrowser();
  const context = await openContext(browser, authority, { operator });
  const page = await context.newPage();
  await page.goto(`${authority.url}${path}`);
  return page;
}

/** Opens an operation, runs it with "Try it out" and gives status and body that the page shows. */
async function tryItOut(
  page: Page,
  operationId: string,
): Promise<{ status: string; body: string }> {
  const operation = page.locator(`[id$="-${operationId}"]`);
  await operation.locator(".opblock-summary-control").click();
  await operation.locator("button.execute").click();
  const live = operation.locator(".live-responses-table");
  await live.waitFor();
  return {
    status: (
      (await live.locator(".response .response-col_status").first().textContent()) ?? ""
    ).trim(),
    body: (await live.locator(".response .response-col_description").first().textContent()) ?? "",
  };
}

describe("Swagger UI in a real browser", () => {
  test("lists every operation, without an error on the console", async () => {
    const page = await open("/docs");
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" || /Content.Security/i.test(message.text())) {
        errors.push(message.text());
      }
    });
    await page.reload();
    await page.locator(".opblock").first().waitFor();
    const shown = await page.locator(".opblock").count();
    const document = (await authority.call("GET", "/openapi.json")).json;
    const operations = Object.values(document.paths).flatMap((one) => Object.keys(one as object));
    expect(shown).toBe(operations.length);
    expect(errors).toEqual([]);
    await page.close();
  });

  test("loads nothing of another host, and its policy allows none (S-45)", async () => {
    const page = await open("/docs");
    const asked: string[] = [];
    const errors: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    const answer = await page.reload();
    await page.locator(".opblock").first().waitFor();
    // What opens and changes on the page: operations, models, the dialog of credentials.
    const { status } = await tryItOut(page, "describeAuthority");
    await page.locator(".btn.authorize").click();
    await page.locator(".dialog-ux input").first().fill("a-token");
    await page.locator(".dialog-ux .btn-done").click();
    await page.locator(".models-control").first().click();
    expect([status, errors]).toEqual(["200", []]);
    const hosts = asked.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).origin);
    expect(new Set(hosts)).toEqual(new Set([authority.url]));
    const policy = answer?.headers()["content-security-policy"] ?? "";
    const sources = policy.split(";").flatMap((one) => one.trim().split(" ").slice(1));
    const local = sources.filter((one) => !one.startsWith("'sha256-"));
    expect(new Set(local)).toEqual(new Set(["'none'", "'self'", "data:"]));
    expect(policy).toMatch(/^default-src 'none';.*frame-ancestors 'none'/);
    const blocked = page.evaluate(`new Promise((resolve) => {
      document.addEventListener("securitypolicyviolation", (event) => resolve(event.blockedURI));
      document.createElement("img").src = "https://validator.swagger.io/validator";
    })`);
    expect(await blocked).toBe("https://validator.swagger.io/validator");
    await page.close();
  });

  test("Try it out works on a public route", async () => {
    const page = await open("/docs");
    const { status, body } = await tryItOut(page, "describeAuthority");
    expect(status).toBe("200");
    expect(body).toContain("Example Internal CA");
    await page.close();
  });

  test("Try it out shows the refusal for a route that needs a certificate", async () => {
    const page = await open("/docs");
    const { status, body } = await tryItOut(page, "listCertificates");
    expect(status).toBe("401");
    expect(body).toContain("client certificate");
    await page.close();
  });

  test("with the operator's .p12 the browser reads the index", async () => {
    const page = await open("/docs", { operator: true });
    const { status, body } = await tryItOut(page, "listCertificates");
    expect(status).toBe("200");
    expect(body).toContain("CN=operator");
    await page.close();
  });
});
