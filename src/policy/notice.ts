/** Something of the request that was dropped or changed, and by which rule. */
export interface Notice {
  readonly field: string;
  readonly rule: string;
  readonly message: string;
}
