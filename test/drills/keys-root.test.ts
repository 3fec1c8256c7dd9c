import { drillTest } from "./taken/drill-test.ts";

drillTest("keys-root");
