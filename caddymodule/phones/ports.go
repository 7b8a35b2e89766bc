// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Operations returns the operations, for whoever has questions of their own to ask.
func (p *Phones) Operations() *operation.Store { return p.operations }

// Asking returns the choice of how people are asked.
func (p *Phones) Asking() *asking.Service { return p.asking }
