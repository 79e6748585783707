/* SPDX-License-Identifier: Apache-2.0 */
/* The ABI is headers only; SwiftPM wants one source file in a C target. */
