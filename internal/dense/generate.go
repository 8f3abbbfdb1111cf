package dense

//go:generate sh -c "cd gen && go run ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./pack -out ../pack_amd64.s -stubs ../pack_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./narrow -out ../narrow_amd64.s -stubs ../narrow_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./vector -out ../vector_amd64.s -stubs ../vector_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./elementary -out ../elementary_amd64.s -stubs ../elementary_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./normal -out ../normal_amd64.s -stubs ../normal_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./invert -out ../invert_amd64.s -stubs ../invert_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./shifted -out ../shifted_amd64.s -stubs ../shifted_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./eigen -out ../eigen_amd64.s -stubs ../eigen_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./bundle -out ../bundle_amd64.s -stubs ../bundle_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./reduce -out ../reduce_amd64.s -stubs ../reduce_stubs_amd64.go -pkg dense"
//go:generate sh -c "cd gen && go run ./neon -dir .."
