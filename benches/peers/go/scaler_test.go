package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"pilotlight/benches/peers/go/wire"
)

// platform answers at once and counts.
type platform struct{ created, destroyed atomic.Int32 }

func (p *platform) CreateSlot(context.Context, *wire.CreateSlotRequest, ...grpc.CallOption) (*wire.CreateSlotReply, error) {
	return &wire.CreateSlotReply{Slot: &wire.Slot{Id: fmt.Sprint(p.created.Add(1))}}, nil
}

func (p *platform) Init(context.Context, *wire.InitRequest, ...grpc.CallOption) (*wire.InitReply, error) {
	return &wire.InitReply{}, nil
}

func (p *platform) DestroySlot(context.Context, *wire.DestroySlotRequest, ...grpc.CallOption) (*wire.DestroySlotReply, error) {
	p.destroyed.Add(1)
	return &wire.DestroySlotReply{}, nil
}

func assign(t *testing.T, s *scaler, key string) *wire.Assignment {
	t.Helper()
	reply, err := s.Assign(context.Background(), &wire.AssignRequest{RequestId: "r", MetaData: &wire.Meta{Key: key, MemoryInMb: 128}})
	if err != nil {
		t.Fatal(err)
	}
	return reply.Assigment
}

func idle(t *testing.T, s *scaler, assignment *wire.Assignment, broken bool) {
	t.Helper()
	request := &wire.IdleRequest{Assigment: assignment, Result: &wire.Result{NeedDestroy: &broken}}
	if _, err := s.Idle(context.Background(), request); err != nil {
		t.Fatal(err)
	}
}

func TestFreedInstanceIsReused(t *testing.T) {
	behind := &platform{}
	s := newScaler(behind, time.Minute)
	first := assign(t, s, "f")
	idle(t, s, first, false)
	idle(t, s, first, false) // a second Idle changes nothing
	second, third := assign(t, s, "f"), assign(t, s, "f")
	if second.InstanceId != first.InstanceId || third.InstanceId == first.InstanceId || behind.created.Load() != 2 {
		t.Fatalf("got %v after %v, then %v; %d slots", second, first, third, behind.created.Load())
	}
	if other := assign(t, s, "g"); other.InstanceId == first.InstanceId {
		t.Fatal("an instance served two functions")
	}
}

func TestBrokenInstanceIsNotReused(t *testing.T) {
	s := newScaler(&platform{}, time.Minute)
	broken := assign(t, s, "f")
	idle(t, s, broken, true)
	if assign(t, s, "f").InstanceId == broken.InstanceId {
		t.Fatal("a broken instance was handed out")
	}
	_, err := s.Idle(context.Background(), &wire.IdleRequest{Assigment: broken})
	if status.Code(err) != codes.NotFound {
		t.Fatalf("Idle of a destroyed instance: %v", err)
	}
}

func TestOnlyWhatIsFreeForLongIsRetired(t *testing.T) {
	s := newScaler(&platform{}, time.Minute)
	assign(t, s, "f")
	idle(t, s, assign(t, s, "f"), false)
	pool := s.known("f")
	if slots := pool.retire(time.Now().Add(-time.Minute)); len(slots) != 0 {
		t.Fatalf("retired %v too early", slots)
	}
	if slots := pool.retire(time.Now()); len(slots) != 1 || len(pool.instances) != 1 {
		t.Fatalf("retired %v, left %d", slots, len(pool.instances))
	}
}
