package main

import (
	"container/list"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"pilotlight/benches/peers/go/wire"
)

// sweepPause is how often free instances are looked over.
const sweepPause = time.Second

type instance struct {
	id, slot string
	busy     bool
	idleAt   time.Time
}

// function is the pool of one function: everything it has, and of that what is free, the latest freed in front.
type function struct {
	mu        sync.Mutex
	instances map[string]*instance
	free      *list.List
}

type scaler struct {
	wire.UnimplementedScalerServer
	platform  wire.PlatformClient
	keepAlive time.Duration
	mu        sync.RWMutex
	functions map[string]*function
	started   atomic.Uint64
}

func newScaler(platform wire.PlatformClient, keepAlive time.Duration) *scaler {
	return &scaler{platform: platform, keepAlive: keepAlive, functions: map[string]*function{}}
}

// Assign hands out the free instance that was used last, or starts one.
func (s *scaler) Assign(ctx context.Context, request *wire.AssignRequest) (*wire.AssignReply, error) {
	meta := request.MetaData
	if meta == nil || meta.Key == "" {
		return nil, status.Error(codes.InvalidArgument, "AssignRequest.meta_data is missing")
	}
	pool := s.function(meta.Key)
	pool.mu.Lock()
	if front := pool.free.Front(); front != nil {
		taken := pool.free.Remove(front).(*instance)
		taken.busy = true
		pool.mu.Unlock()
		return assigned(request, taken.id), nil
	}
	pool.mu.Unlock()
	fresh, err := s.start(ctx, request)
	if err != nil {
		return nil, err
	}
	pool.mu.Lock()
	pool.instances[fresh.id] = fresh
	pool.mu.Unlock()
	return assigned(request, fresh.id), nil
}

// Idle takes an instance back, or destroys it when the request says that it is broken.
func (s *scaler) Idle(_ context.Context, request *wire.IdleRequest) (*wire.IdleReply, error) {
	assignment := request.Assigment
	if assignment == nil {
		return nil, status.Error(codes.InvalidArgument, "IdleRequest.assigment is missing")
	}
	pool := s.known(assignment.MetaKey)
	if pool == nil {
		return nil, status.Error(codes.NotFound, "no such function")
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	freed := pool.instances[assignment.InstanceId]
	if freed == nil {
		return nil, status.Error(codes.NotFound, "no such instance")
	}
	if freed.busy {
		freed.busy = false
		if request.Result.GetNeedDestroy() {
			delete(pool.instances, freed.id)
			go s.destroy(freed.slot, "broken")
		} else {
			freed.idleAt = time.Now()
			pool.free.PushFront(freed)
		}
	}
	return &wire.IdleReply{Status: wire.Status_Ok}, nil
}

// sweep retires what has been free for longer than the keep-alive, until the context ends.
func (s *scaler) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, pool := range s.pools() {
				for _, slot := range pool.retire(now.Add(-s.keepAlive)) {
					go s.destroy(slot, "idle")
				}
			}
		}
	}
}

// retire forgets the instances that have been free since before a moment and returns their slots.
func (pool *function) retire(before time.Time) (slots []string) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for {
		oldest := pool.free.Back()
		if oldest == nil || oldest.Value.(*instance).idleAt.After(before) {
			return slots
		}
		retired := pool.free.Remove(oldest).(*instance)
		delete(pool.instances, retired.id)
		slots = append(slots, retired.slot)
	}
}

// start makes an instance for a request, busy from the start.
func (s *scaler) start(ctx context.Context, request *wire.AssignRequest) (*instance, error) {
	meta := request.MetaData
	created, err := s.platform.CreateSlot(ctx, &wire.CreateSlotRequest{
		RequestId:      request.RequestId,
		ResourceConfig: &wire.ResourceConfig{MemoryInMegabytes: meta.MemoryInMb},
	})
	if err != nil || created.Status != wire.Status_Ok {
		return nil, status.Errorf(codes.Unavailable, "CreateSlot failed: %v %s", err, created.GetErrorMessage())
	}
	fresh := &instance{id: strconv.FormatUint(s.started.Add(1), 10), slot: created.Slot.Id, busy: true}
	initialised, err := s.platform.Init(ctx, &wire.InitRequest{
		RequestId: request.RequestId, SlotId: fresh.slot, InstanceId: fresh.id, MetaData: meta,
	})
	if err != nil || initialised.Status != wire.Status_Ok {
		go s.destroy(fresh.slot, "init failed")
		return nil, status.Errorf(codes.Unavailable, "Init failed: %v %s", err, initialised.GetErrorMessage())
	}
	return fresh, nil
}

// destroy gives a slot back; that the platform refuses is the platform's concern here.
func (s *scaler) destroy(slot, reason string) {
	_, _ = s.platform.DestroySlot(context.Background(), &wire.DestroySlotRequest{Id: slot, Reason: &reason})
}

// function returns the pool of a function, made when it is not known yet.
func (s *scaler) function(key string) *function {
	if pool := s.known(key); pool != nil {
		return pool
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pool := s.functions[key]
	if pool == nil {
		pool = &function{instances: map[string]*instance{}, free: list.New()}
		s.functions[key] = pool
	}
	return pool
}

func (s *scaler) known(key string) *function {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.functions[key]
}

func (s *scaler) pools() []*function {
	s.mu.RLock()
	defer s.mu.RUnlock()
	pools := make([]*function, 0, len(s.functions))
	for _, pool := range s.functions {
		pools = append(pools, pool)
	}
	return pools
}

func assigned(request *wire.AssignRequest, instanceID string) *wire.AssignReply {
	return &wire.AssignReply{Status: wire.Status_Ok, Assigment: &wire.Assignment{
		RequestId: request.RequestId, MetaKey: request.MetaData.Key, InstanceId: instanceID,
	}}
}
