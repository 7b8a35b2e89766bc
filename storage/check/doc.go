// SPDX-License-Identifier: Apache-2.0

// Package check owns looking after a whole store: it reads everything, says what is wrong with it, and mends what can be mended without
// knowing better than the records. Which tables there are comes in; of what belongs to none of them it counts the items.
//
// A store is read in short views, so that one that is in use can be checked: a record and its index entries are written together and are
// looked at in one view.
package check
