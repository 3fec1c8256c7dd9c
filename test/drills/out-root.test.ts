import { drillTest } from "./taken/drill-test.ts";

drillTest("out-root");
