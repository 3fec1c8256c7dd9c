import { drillTest } from "./taken/drill-test.ts";

drillTest("ledger-root");
