// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

type deviceList struct {
	Devices []view.Device `json:"devices"`
	Next    string        `json:"next,omitempty"`
}

func showDevices(devices []handset.Device) deviceList {
	list := deviceList{Devices: []view.Device{}}
	for i := range devices {
		list.Devices = append(list.Devices, view.DeviceOf(&devices[i]))
	}
	return list
}

func (c *call) sendDevice(d handset.Device) error {
	return c.sendVersion(http.StatusOK, d.Version, view.DeviceOf(&d))
}

func (a *API) listDevices(c *call) error {
	_, p, err := c.paged()
	if err != nil {
		return err
	}
	found, err := a.config.Devices.List(c.r.Context(), p.After, p.Limit)
	if err != nil {
		return err
	}
	list := showDevices(found)
	list.Next = wire.Next(p, found, deviceID)
	return c.send(http.StatusOK, list)
}

func deviceID(d *handset.Device) string { return d.ID }

// listDevicesOf is one page: a user has few.
func (a *API) listDevicesOf(c *call) error {
	if _, err := c.params(); err != nil {
		return err
	}
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	found, err := a.config.Devices.ByUser(c.r.Context(), u.ID)
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, showDevices(found))
}

func (a *API) showDevice(c *call) error {
	d, err := a.config.Devices.Get(c.r.Context(), c.r.PathValue("device"))
	if err != nil {
		return err
	}
	return c.sendDevice(d)
}

func (a *API) patchDevice(c *call) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.bodyOf(wire.MergePatch, &in); err != nil {
		return err
	}
	versions, err := wire.Versions(c.r)
	if err != nil {
		return err
	}
	d, err := a.config.Devices.Get(c.r.Context(), c.r.PathValue("device"))
	if err != nil {
		return err
	}
	if err := match(versions, d.Version); err != nil {
		return err
	}
	if d, err = a.config.Devices.Rename(c.r.Context(), d.ID, in.Name, d.Version); err != nil {
		return err
	}
	return c.sendDevice(d)
}

// actOnDevice runs a command, which needs no version: a phone that is stolen is out, whatever its record says meanwhile.
func (a *API) actOnDevice(c *call) error {
	devices, ctx, id := a.config.Devices, c.r.Context(), c.r.PathValue("device")
	var in reasoned
	do, ok := map[string]func() (handset.Device, error){
		"lock":       func() (handset.Device, error) { return devices.Lock(ctx, id, in.Reason) },
		"unlock":     func() (handset.Device, error) { return devices.Unlock(ctx, id) },
		"lost":       func() (handset.Device, error) { return devices.Lose(ctx, id, handset.Lost, in.Reason) },
		"stolen":     func() (handset.Device, error) { return devices.Lose(ctx, id, handset.Stolen, in.Reason) },
		"quarantine": func() (handset.Device, error) { return devices.Quarantine(ctx, id, in.Reason) },
		"release":    func() (handset.Device, error) { return a.release(ctx, id) },
		"deactivate": func() (handset.Device, error) { return devices.Deactivate(ctx, id, in.Reason) },
	}[c.r.PathValue("action")]
	if !ok {
		return wire.New(wire.NotFound, "the API has no such path")
	}
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	d, err := do()
	if err != nil {
		return err
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return c.sendDevice(d)
}

// release lets a device answer that was watched. What the policy of its app says goes with it.
func (a *API) release(ctx context.Context, id string) (handset.Device, error) {
	if a.config.Enrolment == nil {
		return a.config.Devices.Release(ctx, id)
	}
	return a.config.Enrolment.Release(ctx, id)
}

type change struct {
	Version uint64         `json:"version"`
	At      time.Time      `json:"at"`
	What    []string       `json:"what"`
	Status  handset.Status `json:"status"`
	Reason  string         `json:"reason,omitempty"`
	By      string         `json:"by,omitempty"`
}

func (a *API) deviceHistory(c *call) error {
	_, p, err := c.paged()
	if err != nil {
		return err
	}
	var after uint64
	if p.After != "" {
		if after, err = strconv.ParseUint(p.After, 10, 64); err != nil {
			return wire.New(wire.InvalidCursor, "begin anew without a cursor").With("cursor", "is not one of this list")
		}
	}
	id := c.r.PathValue("device")
	changes, err := a.config.Devices.History(c.r.Context(), id, after, p.Limit)
	if err != nil {
		return err
	}
	if len(changes) == 0 && after == 0 {
		return storage.ErrNotFound
	}
	answer := struct {
		Changes []change `json:"changes"`
		Next    string   `json:"next,omitempty"`
	}{Changes: []change{}}
	for i := range changes {
		h := &changes[i]
		answer.Changes = append(answer.Changes, change{h.Version, h.At, nonNil(h.What), h.Status, h.Reason, h.By})
	}
	answer.Next = wire.Next(p, changes, func(h *handset.Change) string { return strconv.FormatUint(h.Version, 10) })
	return c.send(http.StatusOK, answer)
}

func (c *call) handset() (string, error) {
	hash := c.r.PathValue("handset")
	if !handset.ValidHash(hash) {
		return "", storage.ErrNotFound
	}
	return hash, nil
}

type lockOf struct {
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// showHandset tells which registrations, of whichever users, are on one phone, and whether it is locked.
func (a *API) showHandset(c *call) error {
	hash, err := c.handset()
	if err != nil {
		return err
	}
	_, p, err := c.paged()
	if err != nil {
		return err
	}
	block, blocked, err := a.config.Devices.Blocked(c.r.Context(), hash)
	if err != nil {
		return err
	}
	found, err := a.config.Devices.ByHash(c.r.Context(), hash, p.After, p.Limit)
	switch {
	case err != nil:
		return err
	case len(found) == 0 && !blocked && p.After == "":
		return storage.ErrNotFound
	}
	answer := struct {
		Handset string  `json:"handset"`
		Lock    *lockOf `json:"lock,omitempty"`
		deviceList
	}{Handset: hash, deviceList: showDevices(found)}
	if blocked {
		answer.Lock = &lockOf{block.Reason, block.By, block.At}
	}
	answer.Next = wire.Next(p, found, deviceID)
	return c.send(http.StatusOK, answer)
}

func (a *API) lockHandset(c *call) error {
	return a.actOnHandset(c, func(ctx context.Context, hash string, in reasoned) ([]handset.Device, error) {
		return a.config.Devices.LockHash(ctx, hash, in.Reason)
	})
}

func (a *API) unlockHandset(c *call) error {
	return a.actOnHandset(c, func(ctx context.Context, hash string, _ reasoned) ([]handset.Device, error) {
		return nil, a.config.Devices.UnlockHash(ctx, hash)
	})
}

// actOnHandset answers with the devices that were taken out by the command.
func (a *API) actOnHandset(c *call, do func(context.Context, string, reasoned) ([]handset.Device, error)) error {
	hash, err := c.handset()
	if err != nil {
		return err
	}
	var in reasoned
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	found, err := do(c.r.Context(), hash, in)
	if err != nil {
		return err
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return c.send(http.StatusOK, showDevices(found))
}
