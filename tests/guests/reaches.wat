;; Imports a function that the host does not provide.
(import "hookmill:guests/disk" "erase" (func $erase))
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (call $erase)
  (i32.const 1024))
