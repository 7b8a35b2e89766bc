// SPDX-License-Identifier: Apache-2.0

// Package server owns the assembly of the authorization server: it builds every face over one set of records and mounts
// them on one http.Handler. The faces hold no reference to one another; they meet in stored records.
//
//	/authorize ─► flow ─► /login ─► login ─► realm.Engine ─► session
//	                │ ◄──────────────────────────────────────────┘
//	                └─► code ─► /token ─► grants ─► tokens ─► gate, /introspect, /userinfo
//
// A server keeps nothing in memory that another server over the same store could miss: two of them are one issuer.
package server
