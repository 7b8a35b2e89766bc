// SPDX-License-Identifier: Apache-2.0

// Package bulk owns the import of users from a file: how its lines are read, and that every good line becomes a user whatever
// the bad ones hold. What a user is, and who has which name, the store of package identity decides.
package bulk
