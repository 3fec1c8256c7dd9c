import { drillTest } from "./taken/drill-test.ts";

drillTest("spam-out-root");
