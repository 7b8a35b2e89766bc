// SPDX-License-Identifier: Apache-2.0

package tables

import (
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/lease"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/exchange"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/status"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/roots"
	"github.com/gatehouse-id/gatehouse/storage"
)

// All returns every table there is, whatever the configuration uses. With a sealer their values can be read.
func All(sealer storage.Sealer) []storage.Kind {
	return slices.Concat(
		authz.Tables(sealer), backchannel.Tables(sealer), registration.Tables(),
		audit.Tables(), keyset.Tables(sealer), lease.Tables(), outbox.Tables(sealer),
		identity.Tables(sealer), mobileauth.Tables(), handset.Tables(sealer), enrolment.Tables(sealer), exchange.Tables(sealer),
		operation.Tables(sealer), confirm.Tables(), caution.Tables(), delivery.Tables(), budget.Tables(),
		roots.Tables(sealer), restapi.Tables(sealer),
		provisioning.Tables(), status.Tables(sealer),
	)
}

// Bare are the names of what is kept beside tables: reminders of when something is due, and the chain of the audit trail.
var Bare = []string{"audit_chain", "audit_mark", "audit_seal", "operation_due", "outbox_due", "outbox_lane"}
