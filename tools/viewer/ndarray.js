// SPDX-License-Identifier: Apache-2.0
// Body of ndarray's compileConstructor(dtype, dimension): the same views as the package compiles
// from strings at run time, without code generation.
return (function () {
  const steps = (view, change) => {
    const shape = view.shape.slice();
    const stride = view.stride.slice();
    let offset = view.offset;
    for (let axis = 0; axis < dimension; axis++) {
      offset += change(axis, shape, stride) || 0;
    }
    return new View(view.data, shape, stride, offset);
  };
  class View {
    constructor(data, shape, stride, offset) {
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset | 0;
    }
    get dtype() { return dtype; }
    get dimension() { return dimension; }
    get size() { return this.shape.reduce((product, length) => product * length, 1); }
    get order() {
      return this.stride.map((step, axis) => [Math.abs(step), axis])
        .sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
    }
    index(...at) {
      let offset = this.offset;
      for (let axis = 0; axis < dimension; axis++) offset += this.stride[axis] * at[axis];
      return offset;
    }
    get(...at) {
      const offset = this.index(...at);
      return dtype === 'generic' ? this.data.get(offset) : this.data[offset];
    }
    set(...args) {
      const value = args.pop();
      const offset = this.index(...args);
      return dtype === 'generic' ? this.data.set(offset, value) : (this.data[offset] = value);
    }
    valueOf() { return dimension === 0 ? this.get() : this; }
    hi(...ends) {
      return steps(this, (axis, shape) => {
        if (typeof ends[axis] === 'number' && ends[axis] >= 0) shape[axis] = ends[axis] | 0;
      });
    }
    lo(...starts) {
      return steps(this, (axis, shape, stride) => {
        if (typeof starts[axis] !== 'number' || starts[axis] < 0) return 0;
        shape[axis] -= starts[axis] | 0;
        return stride[axis] * (starts[axis] | 0);
      });
    }
    step(...by) {
      return steps(this, (axis, shape, stride) => {
        if (typeof by[axis] !== 'number') return 0;
        const factor = by[axis] | 0;
        const shift = factor < 0 ? stride[axis] * (shape[axis] - 1) : 0;
        shape[axis] = Math.ceil(shape[axis] / Math.abs(factor));
        stride[axis] *= factor;
        return shift;
      });
    }
    transpose(...axes) {
      const from = this.shape.map((_, axis) => (axes[axis] === undefined ? axis : axes[axis] | 0));
      return new View(this.data, from.map(axis => this.shape[axis]), from.map(axis => this.stride[axis]), this.offset);
    }
    pick(...at) {
      const shape = [];
      const stride = [];
      let offset = this.offset;
      for (let axis = 0; axis < dimension; axis++) {
        if (typeof at[axis] === 'number' && at[axis] >= 0) {
          offset += this.stride[axis] * at[axis];
        } else {
          shape.push(this.shape[axis]);
          stride.push(this.stride[axis]);
        }
      }
      const made = CACHED_CONSTRUCTORS[dtype][shape.length + 1];
      return (made || compileConstructor(dtype, shape.length))(this.data, shape, stride, offset);
    }
  }
  return (data, shape, stride, offset) =>
    dimension < 0 ? new View(data, [], [], 0) : new View(data, Array.from(shape || []), Array.from(stride || []), offset);
})();
